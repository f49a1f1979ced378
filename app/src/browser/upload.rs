//! Sending files with progress (`fetch` cannot tell how much has left, `XMLHttpRequest` can).

use domain::api::{ApiError, ErrorKind};
use js_sys::Reflect;
use wasm_bindgen::{JsCast, prelude::Closure};
use web_sys::{DragEvent, Event, File, FileList, FormData, HtmlInputElement, ProgressEvent, XmlHttpRequest};

/// What an upload says.
#[derive(Debug, Clone, PartialEq)]
pub enum Upload {
    /// Bytes sent, and all.
    Sent(f64, f64),
    /// The answer's JSON.
    Done(Result<String, ApiError>),
}

/// A file that the person chose.
#[derive(Clone)]
pub struct Chosen(File);

impl Chosen {
    pub fn name(&self) -> String {
        self.0.name()
    }

    pub fn bytes(&self) -> u64 {
        self.0.size() as u64
    }

    /// The folder it was chosen with, if a whole one was.
    pub fn folder(&self) -> Option<String> {
        self.path()?.split_once('/').map(|(folder, _)| folder.to_owned())
    }

    /// Whether it lies in a folder of that folder.
    pub fn is_nested(&self) -> bool {
        self.path().is_some_and(|path| path.matches('/').count() > 1)
    }

    fn path(&self) -> Option<String> {
        // Not among the bindings' features: not every browser has it.
        Reflect::get(&self.0, &"webkitRelativePath".into()).ok()?.as_string()
    }
}

fn all(files: Option<FileList>) -> Vec<Chosen> {
    let Some(files) = files else { return Vec::new() };
    (0..files.length()).filter_map(|at| files.get(at)).map(Chosen).collect()
}

/// All files dropped by a drag.
pub fn dropped_files(event: &DragEvent) -> Vec<Chosen> {
    all(event.data_transfer().and_then(|data| data.files()))
}

/// All files chosen in an `<input type="file" multiple>`.
pub fn chosen_files(event: &Event) -> Vec<Chosen> {
    let input = event.target().and_then(|target| target.dyn_into::<HtmlInputElement>().ok());
    all(input.and_then(|input| input.files()))
}

/// Empties an `<input type="file">`.
pub fn empty_files(event: &Event) {
    if let Some(input) = event.target().and_then(|target| target.dyn_into::<HtmlInputElement>().ok()) {
        input.set_value("");
    }
}

/// An upload on its way.
pub struct Sending(XmlHttpRequest);

impl Sending {
    /// Stops it; nothing more is told.
    pub fn stop(&self) {
        self.0.set_onloadend(None);
        let _ = self.0.abort();
    }
}

/// Posts a form with text `fields`, and the files as its field `file`, to `url`. `broken` is what to say when the connection
/// breaks off.
pub fn upload(
    url: &str,
    fields: &[(&str, &str)],
    files: &[Chosen],
    broken: &'static str,
    mut on: impl FnMut(Upload) + Clone + 'static,
) -> Option<Sending> {
    let failed = |why: &str| Upload::Done(Err(ApiError::new(ErrorKind::Unreachable, why)));
    let (Ok(request), Ok(form)) = (XmlHttpRequest::new(), FormData::new()) else {
        on(failed("This browser cannot upload files."));
        return None;
    };
    let mut progress = on.clone();
    let on_progress = Closure::<dyn FnMut(ProgressEvent)>::new(move |event: ProgressEvent| {
        progress(Upload::Sent(event.loaded(), event.total()));
    });
    if let Ok(target) = request.upload() {
        target.set_onprogress(Some(on_progress.as_ref().unchecked_ref()));
    }
    let (answered, mut ended) = (request.clone(), on.clone());
    let on_end = Closure::<dyn FnMut()>::once(move || ended(Upload::Done(answer(&answered, broken))));
    request.set_onloadend(Some(on_end.as_ref().unchecked_ref()));
    // They live as long as the request, which outlives this call.
    on_progress.forget();
    on_end.forget();
    // Texts first: the server knows the name when the files come.
    let ready = fields.iter().all(|(name, value)| form.append_with_str(name, value).is_ok())
        && files.iter().all(|file| form.append_with_blob_and_filename("file", &file.0, &file.name()).is_ok())
        && request.open_with_async("POST", url, true).is_ok()
        && request.set_request_header("Accept", "application/json").is_ok();
    if !ready || request.send_with_opt_form_data(Some(&form)).is_err() {
        on(failed("The upload could not start."));
        return None;
    }
    Some(Sending(request))
}

/// Posts JSON; the answer's JSON is told.
pub fn post_json(url: &str, body: &str, on: impl FnOnce(Result<String, ApiError>) + 'static) {
    let Ok(request) = XmlHttpRequest::new() else { return };
    let answered = request.clone();
    let broken = "The server cannot be reached. Check that `anneal serve` runs, then try again.";
    let on_end = Closure::<dyn FnMut()>::once(move || on(answer(&answered, broken)));
    request.set_onloadend(Some(on_end.as_ref().unchecked_ref()));
    // It lives as long as the request, which outlives this call.
    on_end.forget();
    // A request that cannot start ends at once, and that is told.
    let _ = request
        .open_with_async("POST", url, true)
        .and_then(|()| request.set_request_header("Content-Type", "application/json"))
        .and_then(|()| request.send_with_opt_str(Some(body)));
}

fn answer(request: &XmlHttpRequest, broken: &str) -> Result<String, ApiError> {
    let status = request.status().unwrap_or(0);
    let text = request.response_text().ok().flatten().unwrap_or_default();
    match status {
        0 => Err(ApiError::new(ErrorKind::Unreachable, broken)),
        200..300 => Ok(text),
        _ => {
            let said = serde_json::from_str(&text);
            Err(said.unwrap_or_else(|_| ApiError::internal(format!("The server answered {status}."))))
        }
    }
}
