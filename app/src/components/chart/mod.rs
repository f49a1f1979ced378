//! Curves over steps: drawn on the server already, so that they can be seen without JavaScript; alive, they show all
//! values at a step (hover, or arrow keys), zoom by dragging, smooth, and go logarithmic.

mod geometry;
mod plot;

use super::Icon;
use geometry::{Scale, figure, smooth};
use leptos::prelude::*;
use plot::Plot;

/// One curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    pub name: String,
    /// 1 to 7: the colour of the palette.
    pub colour: u8,
    pub points: Vec<CurvePoint>,
}

/// A step's value, with the least and greatest behind it where several were joined.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CurvePoint {
    pub x: f64,
    pub y: f64,
    pub min: f64,
    pub max: f64,
}

/// What is drawn of the curves: hidden ones gone, smoothed, on their scales.
#[derive(Debug, Clone, PartialEq)]
struct Drawing {
    curves: Vec<Curve>,
    /// The curves as measured, behind the smoothed ones.
    measured: Vec<Curve>,
    x: Scale,
    y: Scale,
}

/// Weight of the moving average when smoothing is on: about the last ten points.
const WEIGHT: f64 = 0.9;

/// A chart. `on_zoom` is told the steps between which the person wants to see all, or none for the whole.
#[component]
pub fn Chart(
    #[prop(into)] title: String,
    #[prop(into)] curves: Signal<Vec<Curve>>,
    /// What the values are, for the axis: "nats per token".
    #[prop(optional)]
    unit: &'static str,
    /// Low, without controls: for a row of small charts.
    #[prop(optional)]
    small: bool,
    /// The steps the curves are narrowed to; charts of one run share it.
    #[prop(optional, into)]
    zoomed: Signal<Option<(f64, f64)>>,
    #[prop(optional, into)] on_zoom: Option<Callback<Option<(f64, f64)>>>,
) -> impl IntoView {
    let hidden = RwSignal::new(Vec::<String>::new());
    let (smoothing, log) = (RwSignal::new(false), RwSignal::new(false));
    let zoom = Callback::new(move |range: Option<(f64, f64)>| {
        if let Some(callback) = on_zoom {
            callback.run(range);
        }
    });
    let drawing = Memo::new(move |_| {
        let hidden = hidden.get();
        let mut shown: Vec<Curve> = curves.get().into_iter().filter(|c| !hidden.contains(&c.name)).collect();
        let mut measured = Vec::new();
        if smoothing.get() {
            measured.clone_from(&shown);
            for curve in &mut shown {
                let values: Vec<f64> = curve.points.iter().map(|p| p.y).collect();
                for (point, value) in curve.points.iter_mut().zip(smooth(&values, WEIGHT)) {
                    point.y = value;
                }
            }
        }
        let points = || shown.iter().flat_map(|c| &c.points);
        let (low, high) = points().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), p| (l.min(p.x), h.max(p.x)));
        let x = if low < high { Scale { low, high, log: false } } else { Scale::around(points().map(|p| p.x), false) };
        let y = Scale::around(points().chain(measured.iter().flat_map(|c| &c.points)).map(|p| p.y), log.get());
        Drawing { curves: shown, measured, x, y }
    });
    let legend = move || {
        curves.with(|all| all.iter().map(|c| (c.name.clone(), c.colour)).collect::<Vec<_>>())
            .into_iter()
            .map(|(name, colour)| {
                let (key, label) = (name.clone(), name.clone());
                let off = move || hidden.with(|h| h.contains(&key));
                view! {
                    <button type="button" class=format!("legend series-{colour}") aria-pressed=move || (!off()).to_string()
                        on:click=move |_| hidden.update(|h| if h.contains(&name) { h.retain(|n| *n != name) } else { h.push(name.clone()) })>
                        <i></i>{label}
                    </button>
                }
            })
            .collect_view()
    };
    let heading = title.clone();
    view! {
        <figure class="chart" class:small=small>
            <figcaption>
                <h3>{heading}<small class="dim">{(!unit.is_empty()).then(|| format!(" {unit}"))}</small></h3>
                <div class="chart-tools">
                    {(!small).then_some(legend)}
                    <Show when=move || !small>
                        <label class="needs-js"><input type="checkbox" prop:checked=smoothing on:change=move |ev| smoothing.set(event_target_checked(&ev))/>"Smooth"</label>
                        <label class="needs-js"><input type="checkbox" prop:checked=log on:change=move |ev| log.set(event_target_checked(&ev))/>"Log"</label>
                    </Show>
                    <Show when=move || zoomed.get().is_some()>
                        <button type="button" class="button small" on:click=move |_| zoom.run(None)><Icon name="rotate-ccw"/>"Whole run"</button>
                    </Show>
                </div>
            </figcaption>
            <Plot title drawing zoom zoomable=on_zoom.is_some()/>
        </figure>
    }
}
