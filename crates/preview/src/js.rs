//! The few browser calls a worker needs, by name: fetch, caches, timers, WebGPU's presence, hashing.

use js_sys::{Array, Function, Promise, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

/// The worker's global scope.
pub(crate) fn global() -> JsValue {
    js_sys::global().into()
}

pub(crate) fn get(object: &JsValue, key: &str) -> JsValue {
    Reflect::get(object, &JsValue::from_str(key)).unwrap_or(JsValue::UNDEFINED)
}

/// Calls `object.method(args…)`.
pub(crate) fn call(object: &JsValue, method: &str, args: &[&JsValue]) -> Result<JsValue, String> {
    let function: Function = get(object, method).dyn_into().map_err(|_| format!("this browser has no {method}"))?;
    let list: Array = args.iter().map(|a| (*a).clone()).collect();
    Reflect::apply(&function, object, &list).map_err(|e| describe(&e))
}

/// Calls and awaits a method that answers with a promise.
pub(crate) async fn call_async(object: &JsValue, method: &str, args: &[&JsValue]) -> Result<JsValue, String> {
    let promise: Promise = call(object, method, args)?.dyn_into().map_err(|_| format!("{method} gave no promise"))?;
    JsFuture::from(promise).await.map_err(|e| describe(&e))
}

pub(crate) fn describe(error: &JsValue) -> String {
    get(error, "message").as_string().unwrap_or_else(|| format!("{error:?}"))
}

/// Lets the worker take messages: a task of its own, not only a microtask.
pub(crate) async fn breathe() {
    let promise = Promise::new(&mut |resolve, _| {
        let _ = call(&global(), "setTimeout", &[&resolve.into(), &JsValue::from_f64(0.0)]);
    });
    let _ = JsFuture::from(promise).await;
}

/// Milliseconds, for measuring.
pub(crate) fn now() -> f64 {
    call(&get(&global(), "performance"), "now", &[]).ok().and_then(|v| v.as_f64()).unwrap_or_else(js_sys::Date::now)
}

/// A WebGPU adapter's name, or why there is none.
pub(crate) async fn adapter() -> Result<String, String> {
    let gpu = get(&get(&global(), "navigator"), "gpu");
    if gpu.is_undefined() {
        return Err("this browser offers no WebGPU".to_owned());
    }
    let adapter = call_async(&gpu, "requestAdapter", &[]).await?;
    if adapter.is_null() || adapter.is_undefined() {
        return Err("this browser found no WebGPU adapter".to_owned());
    }
    let info = get(&adapter, "info");
    let words = ["vendor", "architecture", "description"].map(|key| get(&info, key).as_string().unwrap_or_default());
    Ok(words.join(" ").trim().to_owned())
}

/// SHA-256 in hexadecimal; empty where the browser offers no hashing (plain http beyond localhost).
pub(crate) async fn sha256(bytes: &[u8]) -> String {
    let subtle = get(&get(&global(), "crypto"), "subtle");
    let data = Uint8Array::from(bytes);
    match call_async(&subtle, "digest", &[&JsValue::from_str("SHA-256"), &data.into()]).await {
        Ok(buffer) => Uint8Array::new(&buffer).to_vec().iter().map(|b| format!("{b:02x}")).collect(),
        Err(_) => String::new(),
    }
}
