//! Workers: who trains, on which devices, and the machine beneath.

use crate::{
    api::system_get,
    components::{Empty, Icon, Load, Page, Time, bytes},
};
use domain::{
    api::{GetSystem, Worker},
    device::DeviceInfo,
};
use leptos::prelude::*;

#[component]
pub fn WorkersPage() -> impl IntoView {
    let system = Resource::new(|| (), |()| system_get(GetSystem::default()));
    view! {
        <Page title="Workers">
            <Load from=system let:system>
                <dl class="figures">
                    <div><dt>"Version"</dt><dd>{system.version}</dd></div>
                    <div><dt>"Workers"</dt><dd>{system.workers.len()}</dd></div>
                    <div><dt>"Memory"</dt><dd>{system.memory_bytes.map_or_else(|| "–".to_owned(), bytes)}</dd></div>
                    <div><dt>"Free disk"</dt><dd>{system.disk_free_bytes.map_or_else(|| "–".to_owned(), bytes)}</dd></div>
                </dl>
                <p class="dim wrap">"Data directory: "<code>{system.data_directory}</code></p>
                {if system.workers.is_empty() {
                    view! {
                        <Empty icon="cpu" title="No worker is connected">
                            <p>"A worker takes runs from the queue and trains them. "<code>"anneal serve"</code>" brings one; if it has just started, it will be here in a moment."</p>
                        </Empty>
                    }.into_any()
                } else {
                    view! { <ul class="cards">{system.workers.into_iter().map(|worker| view! { <WorkerCard worker/> }).collect_view()}</ul> }.into_any()
                }}
            </Load>
        </Page>
    }
}

#[component]
fn WorkerCard(worker: Worker) -> impl IntoView {
    let work = match worker.run {
        Some(run) => view! { <a href=format!("/runs/{run}")>"Training "<code>{run.short()}</code></a> }.into_any(),
        None => view! { <span>"Idle"</span> }.into_any(),
    };
    view! {
        <li class="card">
            <header><h2 class="clip" title=worker.name.clone()>{worker.name.clone()}</h2>
                {match worker.run {
                    Some(_) => view! { <span class="badge ember"><Icon name="flame"/>"Busy"</span> },
                    None => view! { <span class="badge"><Icon name="clock"/>"Idle"</span> },
                }}
            </header>
            <dl class="pairs">
                <dt>"Now"</dt><dd>{work}</dd>
                <dt>"Seen"</dt><dd><Time at=worker.seen_at/></dd>
                <dt>"Started"</dt><dd><Time at=worker.started_at/></dd>
                {worker.devices.into_iter().map(|device| view! { <dt>"Device"</dt><dd>{device_words(&device)}</dd> }).collect_view()}
            </dl>
        </li>
    }
}

fn device_words(device: &DeviceInfo) -> String {
    let mut words = format!("{} ({})", device.name, device.backend);
    if let Some(threads) = device.threads {
        words.push_str(&format!(", {threads} threads"));
    }
    if let Some(memory) = device.memory_bytes {
        words.push_str(&format!(", {}", bytes(memory)));
    }
    words
}
