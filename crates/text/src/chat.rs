//! Chat templates: Jinja as `transformers` renders it (blocks trimmed, Python's string methods, `raise_exception`, JSON as
//! Python writes it), by minijinja. No clock: `strftime_now` is not defined, and templates that ask fall back to their own
//! date.

use crate::pycompat;
use minijinja::{
    Environment, Error, ErrorKind, State,
    syntax::SyntaxConfig,
    value::{Kwargs, Value},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, ops::Range};

/// Why a template cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    #[error("the chat template is broken: {0}")]
    Broken(String),
    #[error("the chat template refuses these messages: {0}")]
    Refused(String),
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    pub content: String,
}

impl Message {
    pub fn new(role: &str, content: &str) -> Self {
        Self { role: role.to_owned(), content: content.to_owned() }
    }
}

/// A conversation as text, and the bytes of it that the assistant says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    pub text: String,
    pub spans: Vec<Range<usize>>,
}

/// A template, ready to render.
#[derive(Debug)]
pub struct Template {
    environment: Environment<'static>,
    /// `bos_token`, `eos_token` and so on.
    specials: BTreeMap<String, String>,
    /// Whether the template says itself which words are the assistant's.
    tagged: bool,
}

const NAME: &str = "chat";
/// What `{% generation %}` calls, and the variable that asks it for marks around what it renders.
const GENERATION: &str = "__generation";
const MARKS: &str = "__marks";

impl Template {
    /// `specials`: names such as `bos_token` and the tokens they stand for.
    pub fn new(source: &str, specials: BTreeMap<String, String>) -> Result<Self, TemplateError> {
        let broken = |e: Error| TemplateError::Broken(told(&e));
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(broken)?);
        environment.set_unknown_method_callback(pycompat::method);
        environment.add_function("raise_exception", |message: String| -> Result<Value, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, message))
        });
        environment.add_filter("tojson", pycompat::to_json);
        environment.add_function(GENERATION, generation);
        let (source, tagged) = generation_as_calls(source);
        environment.add_template_owned(NAME, source).map_err(broken)?;
        Ok(Self { environment, specials, tagged })
    }

    /// The conversation as text; `answer`: with the beginning of the assistant's next turn.
    pub fn render(&self, messages: &[Message], answer: bool) -> Result<String, TemplateError> {
        self.rendered(messages, answer, "")
    }

    /// The conversation as text, and the bytes of it that the template puts between `{% generation %}` and
    /// `{% endgeneration %}`; none when it has no such tags.
    pub fn render_generations(&self, messages: &[Message]) -> Result<Option<Rendered>, TemplateError> {
        if !self.tagged {
            return Ok(None);
        }
        // Code points that are not characters; none that stands in a message can be a mark.
        let used = |c: &char| messages.iter().any(|m| m.content.contains(*c));
        let marks: String = ('\u{fdd0}'..='\u{fdef}').filter(|c| !used(c)).take(2).collect();
        let marked = self.rendered(messages, false, &marks)?;
        let (mut text, mut spans, mut start) = (String::with_capacity(marked.len()), Vec::new(), 0);
        for piece in marked.split_inclusive(|c| marks.contains(c)) {
            let plain = piece.trim_end_matches(|c| marks.contains(c));
            text.push_str(plain);
            match marks.chars().position(|mark| piece.ends_with(mark)) {
                Some(0) => start = text.len(),
                Some(_) => spans.push(start..text.len()),
                None => {}
            }
        }
        Ok(Some(Rendered { text, spans }))
    }

    fn rendered(&self, messages: &[Message], answer: bool, marks: &str) -> Result<String, TemplateError> {
        let refused = |e: Error| TemplateError::Refused(told(&e));
        let turn = |m: &Message| Value::from_pairs([("role", m.role.as_str()), ("content", m.content.as_str())]);
        let specials = self.specials.iter().map(|(name, token)| (name.as_str(), Value::from(token.as_str())));
        let others = [
            ("messages", messages.iter().map(turn).collect()),
            ("add_generation_prompt", Value::from(answer)),
            ("tools", Value::from(())),
            ("documents", Value::from(())),
            (MARKS, Value::from(marks)),
        ];
        let template = self.environment.get_template(NAME).map_err(refused)?;
        template.render(Value::from_pairs(specials.chain(others))).map_err(refused)
    }
}

fn told(error: &Error) -> String {
    let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    error.line().map_or_else(|| detail.clone(), |line| format!("{detail} (line {line})"))
}

/// `{% generation %}` marks the assistant's words for training. As in `transformers` it is a call block, so that what is set
/// inside stays inside. Returns the source for minijinja and whether there are such tags.
fn generation_as_calls(source: &str) -> (String, bool) {
    let mut text = String::with_capacity(source.len());
    let (mut rest, mut tagged) = (source, false);
    while let Some(start) = rest.find("{%") {
        let Some(length) = rest[start..].find("%}") else { break };
        let tag = &rest[start..start + length];
        let word = tag[2..].trim_matches(|c: char| c.is_whitespace() || matches!(c, '-' | '+'));
        text.push_str(&rest[..start]);
        text.push_str(&match word {
            "generation" => tag.replacen(word, &format!("call {GENERATION}()"), 1),
            "endgeneration" => tag.replacen(word, "endcall", 1),
            _ => tag.to_owned(),
        });
        tagged |= word == "generation";
        rest = &rest[start + length..];
    }
    (text + rest, tagged)
}

/// What stands in the block, between the two marks when they are asked for.
fn generation(state: &mut State<'_, '_>, options: Kwargs) -> Result<Value, Error> {
    let caller: Value = options.get("caller")?;
    let inner = caller.call(state, &[])?;
    let marks = state.lookup(MARKS);
    let marks = marks.as_ref().and_then(Value::as_str).unwrap_or_default();
    let mut marks = marks.chars().map(String::from);
    let (before, after) = (marks.next().unwrap_or_default(), marks.next().unwrap_or_default());
    Ok(Value::from(format!("{before}{inner}{after}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(source: &str, messages: &[(&str, &str)], answer: bool) -> Result<String, String> {
        let specials = BTreeMap::from([("bos_token".to_owned(), "<s>".to_owned())]);
        let messages: Vec<Message> = messages.iter().map(|(role, content)| Message::new(role, content)).collect();
        Template::new(source, specials).and_then(|t| t.render(&messages, answer)).map_err(|e| e.to_string())
    }

    /// SmolLM2's own.
    const CHATML: &str = "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nBe kind<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

    #[test]
    fn templates_render() {
        let hello = [("user", "Hello <b>&")];
        assert_eq!(
            render(CHATML, &hello, true).unwrap(),
            "<|im_start|>system\nBe kind<|im_end|>\n<|im_start|>user\nHello <b>&<|im_end|>\n<|im_start|>assistant\n"
        );
        for (source, expected) in [
            // Blocks are trimmed as Jinja does with trim_blocks and lstrip_blocks.
            ("  {% if true %}\n  a\n  {% endif %}\nb\n", "  a\nb"),
            ("{{ bos_token }}{{ eos_token }}{{ messages[-1].content | length }}", "<s>10"),
            ("{% if tools is not none %}t{% else %}none{% endif %}", "none"),
            ("{% generation %}x{%- endgeneration -%} y", "xy"),
            ("{% set a = 1 %}{% generation %}{% set a = 2 %}x{% endgeneration %}{{ a }}", "x1"),
            ("{{ messages | tojson }}", r#"[{"content": "Hello <b>&", "role": "user"}]"#),
            ("{{ ' a '.strip() + 'b'.upper() + 'a,b'.split(',')[1] + 'xa'.lstrip('x') }}", "aBba"),
            ("{{ 'abc'.startswith('ab') }}{{ 'abc'.endswith('b') }}{{ 'é'|tojson }}", "TrueFalse\"é\""),
            (
                "{% for k, v in messages[0].items() %}{{ k }};{% endfor %}{{ messages[0].get('x', 'no') }}",
                "content;role;no",
            ),
        ] {
            assert_eq!(render(source, &hello, false).as_deref(), Ok(expected), "{source}");
        }
    }

    #[test]
    fn refusals_are_told() {
        let said = render("{{ raise_exception('Roles must alternate') }}", &[("user", "x")], false).unwrap_err();
        assert_eq!(said, "the chat template refuses these messages: Roles must alternate (line 1)");
        assert!(render("{% if %}", &[], false).unwrap_err().contains("broken"));
    }
}
