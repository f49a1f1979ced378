//! The preview's Web Worker: typed messages over JSON.

use domain::preview::{FromPreview, ToPreview};
use wasm_bindgen::{JsCast, JsValue, prelude::Closure};
use web_sys::{Event, MessageEvent, Worker, WorkerOptions, WorkerType};

/// A running preview; ends with the value.
pub struct Preview {
    worker: Worker,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_error: Closure<dyn FnMut(Event)>,
}

impl Preview {
    /// Starts the worker whose script and module the server named in the document.
    pub fn start(mut on: impl FnMut(FromPreview) + Clone + 'static) -> Result<Self, String> {
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

    /// Sends a message.
    pub fn send(&self, message: &ToPreview) {
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
