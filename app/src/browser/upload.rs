//! Sending a file with progress (`fetch` cannot tell how much has left, `XMLHttpRequest` can).

use domain::api::{ApiError, ErrorKind, ImportReport};
use wasm_bindgen::{JsCast, prelude::Closure};
use web_sys::{DragEvent, Event, File, FormData, HtmlInputElement, ProgressEvent, XmlHttpRequest};

/// What an upload says.
#[derive(Debug, Clone, PartialEq)]
pub enum Upload {
    /// Bytes sent, and all.
    Sent(f64, f64),
    Done(Result<ImportReport, ApiError>),
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
}

/// The file dropped by a drag.
pub fn dropped_file(event: &DragEvent) -> Option<Chosen> {
    event.data_transfer()?.files()?.get(0).map(Chosen)
}

/// The file chosen in an `<input type="file">`, which is empty again afterwards: the same file may be mended and chosen
/// once more.
pub fn chosen_file(event: &Event) -> Option<Chosen> {
    let input: HtmlInputElement = event.target()?.dyn_into().ok()?;
    let file = input.files()?.get(0).map(Chosen);
    input.set_value("");
    file
}

/// Posts the file as the form's field `file` to `url`.
pub fn upload(url: &str, file: &Chosen, mut on: impl FnMut(Upload) + Clone + 'static) {
    let failed = |why: &str| Upload::Done(Err(ApiError::new(ErrorKind::Unreachable, why)));
    let (Ok(request), Ok(form)) = (XmlHttpRequest::new(), FormData::new()) else {
        on(failed("This browser cannot upload files."));
        return;
    };
    let mut progress = on.clone();
    let on_progress = Closure::<dyn FnMut(ProgressEvent)>::new(move |event: ProgressEvent| {
        progress(Upload::Sent(event.loaded(), event.total()));
    });
    if let Ok(target) = request.upload() {
        target.set_onprogress(Some(on_progress.as_ref().unchecked_ref()));
    }
    let (answered, mut ended) = (request.clone(), on.clone());
    let on_end = Closure::<dyn FnMut()>::once(move || ended(Upload::Done(answer(&answered))));
    request.set_onloadend(Some(on_end.as_ref().unchecked_ref()));
    // They live as long as the request, which outlives this call.
    on_progress.forget();
    on_end.forget();
    let ready = form.append_with_blob_and_filename("file", &file.0, &file.name()).is_ok()
        && request.open_with_async("POST", url, true).is_ok()
        && request.set_request_header("Accept", "application/json").is_ok();
    if !ready || request.send_with_opt_form_data(Some(&form)).is_err() {
        on(failed("The upload could not start."));
    }
}

fn answer(request: &XmlHttpRequest) -> Result<ImportReport, ApiError> {
    let status = request.status().unwrap_or(0);
    let text = request.response_text().ok().flatten().unwrap_or_default();
    if status == 0 {
        let why = "The connection broke off. Lines that had arrived are kept; import the file again to add the rest.";
        return Err(ApiError::new(ErrorKind::Unreachable, why));
    }
    if (200..300).contains(&status) {
        return serde_json::from_str(&text)
            .map_err(|e| ApiError::internal(format!("The server's answer cannot be read: {e}")));
    }
    Err(serde_json::from_str(&text).unwrap_or_else(|_| ApiError::internal(format!("The server answered {status}."))))
}
