//! Fetches a model's files with progress and keeps them in the Cache API, so that the next visit needs no network.

use crate::js::{call, call_async, describe, get, global};
use js_sys::{Array, Function, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};

const CACHE: &str = "anneal-models";

/// A file's bytes, and whether they came from the cache. `progress` hears of bytes so far and in all (0: unknown).
pub(crate) async fn bytes(url: &str, mut progress: impl FnMut(u64, u64)) -> Result<(Vec<u8>, bool), String> {
    let address = JsValue::from_str(url);
    let cache = open().await;
    if let Some(cache) = &cache
        && let Ok(found) = call_async(cache, "match", &[&address]).await
        && !found.is_undefined()
    {
        let buffer = call_async(&found, "arrayBuffer", &[]).await?;
        let bytes = Uint8Array::new(&buffer).to_vec();
        progress(bytes.len() as u64, bytes.len() as u64);
        return Ok((bytes, true));
    }
    let response = call_async(&global(), "fetch", &[&address]).await.map_err(|e| format!("{url}: {e}"))?;
    if get(&response, "ok").as_bool() != Some(true) {
        let status = get(&response, "status").as_f64().unwrap_or(0.0);
        return Err(format!("{url} answered {status}"));
    }
    let length = call(&get(&response, "headers"), "get", &[&JsValue::from_str("content-length")])?;
    let total = length.as_string().and_then(|l| l.parse().ok()).unwrap_or(0);
    let reader = call(&get(&response, "body"), "getReader", &[])?;
    let mut all = Vec::new();
    loop {
        let part = call_async(&reader, "read", &[]).await?;
        if get(&part, "done").as_bool() == Some(true) {
            break;
        }
        all.extend(Uint8Array::new(&get(&part, "value")).to_vec());
        progress(all.len() as u64, total);
    }
    if let Some(cache) = cache {
        // A full cache costs the next visit a download, nothing else.
        let _ = keep(&cache, &address, &all).await;
    }
    Ok((all, false))
}

/// The cache, where the browser offers one (not on plain http beyond localhost).
async fn open() -> Option<JsValue> {
    let caches = get(&global(), "caches");
    if caches.is_undefined() {
        return None;
    }
    call_async(&caches, "open", &[&JsValue::from_str(CACHE)]).await.ok()
}

async fn keep(cache: &JsValue, address: &JsValue, bytes: &[u8]) -> Result<(), String> {
    let class: Function = get(&global(), "Response").dyn_into().map_err(|_| "no Response".to_owned())?;
    let body = Array::of1(&Uint8Array::from(bytes));
    let response = Reflect::construct(&class, &body).map_err(|e| describe(&e))?;
    call_async(cache, "put", &[address, &response]).await.map(drop)
}
