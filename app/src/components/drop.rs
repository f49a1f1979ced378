//! Where files are dropped or chosen. Without JavaScript it is the file field of the form around it.

use super::Icon;
use crate::browser::{self, Chosen};
use leptos::prelude::*;

#[component]
pub fn DropZone<F>(
    #[prop(into)] title: String,
    #[prop(into)] hint: String,
    /// Kinds that the file dialog offers, as the `accept` of an input.
    accept: &'static str,
    #[prop(optional)] multiple: bool,
    /// Told of the files, each time some are dropped or chosen; of the first alone unless `multiple`.
    on_files: F,
) -> impl IntoView
where
    F: Fn(Vec<Chosen>) + Copy + 'static,
{
    let some = move |mut files: Vec<Chosen>| {
        if !multiple {
            files.truncate(1);
        }
        on_files(files);
    };
    let over = RwSignal::new(false);
    let on_drop = move |ev: leptos::ev::DragEvent| {
        ev.prevent_default();
        over.set(false);
        some(browser::dropped_files(&ev));
    };
    let on_choose = move |ev: leptos::ev::Event| {
        some(browser::chosen_files(&ev));
        if !multiple {
            // The same file may be mended and chosen once more.
            browser::empty_files(&ev);
        }
    };
    view! {
        <label
            class="drop"
            class:over=move || over.get()
            on:dragover=move |ev| { ev.prevent_default(); over.set(true); }
            on:dragleave=move |_| over.set(false)
            on:drop=on_drop
        >
            <span class="empty-icon"><Icon name="upload"/></span>
            <b>{title}</b>
            <span class="dim">{hint}</span>
            <input type="file" name="file" multiple=multiple required=!multiple accept=accept on:change=on_choose/>
        </label>
    }
}
