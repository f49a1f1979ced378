//! The preview's Web Worker: typed messages over JSON.

use domain::preview::{FromPreview, ToPreview};
use std::cell::RefCell;
use wasm_bindgen::{JsCast, JsValue, prelude::Closure};
use web_sys::{Event, MessageEvent, Worker, WorkerOptions, WorkerType};

/// A running preview; ends with the value.
struct Preview {
    worker: Worker,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_error: Closure<dyn FnMut(Event)>,
}

thread_local! {
    // Not a value of the page's own: those may move between threads on the server, and a worker may not.
    static CURRENT: RefCell<Option<Preview>> = const { RefCell::new(None) };
}

/// Starts the preview, in place of one that runs. `on` is told all it says.
pub fn start_preview(on: impl FnMut(FromPreview) + Clone + 'static) -> Result<(), String> {
    end_preview();
    let preview = Preview::start(on)?;
    CURRENT.with(|current| current.replace(Some(preview)));
    Ok(())
}

/// Sends a message to the preview that runs.
pub fn tell_preview(message: &ToPreview) {
    CURRENT.with_borrow(|current| {
        if let Some(preview) = current {
            preview.send(message);
        }
    });
}

/// Ends the preview and frees its memory.
pub fn end_preview() {
    drop(CURRENT.take());
}

impl Preview {
    /// Starts the worker whose script and module the server named in the document.
    fn start(mut on: impl FnMut(FromPreview) + Clone + 'static) -> Result<Self, String> {
        let script = super::root_data("preview-script").filter(|url| !url.is_empty());
        let script = script.ok_or("This server was built without the browser preview. Build it with ./x build.")?;
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        let worker =
            Worker::new_with_options(&script, &options).map_err(|e| format!("The preview cannot start: {e:?}"))?;
        let mut failed = on.clone();
        let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
            let text = event.data().as_string().unwrap_or_default();
            match serde_json::from_str(&text) {
                Ok(message) => on(message),
                Err(e) => {
                    on(FromPreview::Failed { id: None, message: format!("The preview sent what cannot be read: {e}") })
                }
            }
        });
        let on_error = Closure::<dyn FnMut(Event)>::new(move |event: Event| {
            let why = js_sys::Reflect::get(&event, &JsValue::from_str("message")).ok().and_then(|m| m.as_string());
            let why = why.unwrap_or_else(|| "its script could not be loaded".to_owned());
            failed(FromPreview::Failed { id: None, message: format!("The preview stopped: {why}") });
        });
        worker.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        worker.set_onerror(Some(on_error.as_ref().unchecked_ref()));
        Ok(Self { worker, _on_message: on_message, _on_error: on_error })
    }

    fn send(&self, message: &ToPreview) {
        if let Ok(text) = serde_json::to_string(message) {
            let _ = self.worker.post_message(&JsValue::from_str(&text));
        }
    }
}

impl Drop for Preview {
    fn drop(&mut self) {
        self.worker.terminate();
    }
}
