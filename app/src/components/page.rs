//! The head of a page: the breadcrumb that is also the title, and one primary action.

use leptos::prelude::*;
use leptos_meta::Title;

/// A page's title bar and content.
#[component]
pub fn Page(
    #[prop(into)] title: Signal<String>,
    /// The way here: addresses with their words.
    #[prop(optional)]
    trail: Vec<(&'static str, &'static str)>,
    /// The last step of the way, when it is one thing among many: a `CrumbName`, perhaps loaded first.
    #[prop(optional, into)]
    under: Option<ViewFn>,
    /// The heading, where the title must be loaded first; else the title.
    #[prop(optional, into)]
    heading: Option<ViewFn>,
    /// The one primary action, at the right.
    #[prop(optional, into)]
    action: ViewFn,
    /// Charts and wide tables may use the whole width.
    #[prop(optional)]
    wide: bool,
    children: Children,
) -> impl IntoView {
    let trail = trail.into_iter().map(|(href, words)| view! { <li><a href=href>{words}</a></li> }).collect_view();
    // The server writes the head after the page, whose signals may be gone by then: the first title is kept apart.
    let first = title.get_untracked();
    view! {
        <Title text=move || title.try_get().unwrap_or_else(|| first.clone())/>
        <header class="bar">
            <nav aria-label="Breadcrumb">
                <ol class="crumbs">
                    {trail}
                    {under.map(|under| under.run())}
                    <li><h1 title=move || title.get()>{match heading {
                        Some(heading) => heading.run(),
                        None => (move || title.get()).into_any(),
                    }}</h1></li>
                </ol>
            </nav>
            <div class="bar-action">{action.run()}</div>
        </header>
        <div class="content" class:wide=wide>{children()}</div>
    }
}

/// One thing among many, on the way to a page of its own.
#[component]
pub fn CrumbName(href: String, name: String) -> impl IntoView {
    view! { <li class="crumb-name"><a href=href title=name.clone()>{name.clone()}</a></li> }
}
