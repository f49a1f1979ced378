//! The plot of a chart: axes, curves, and what pointer and keys do on it.

use super::{Curve, CurvePoint, Drawing, figure, geometry};
use crate::{browser, components::count};
use leptos::{html, prelude::*};

/// Curves of at most so many points show each as a dot: a validation loss has few, and one point makes no line.
const DOTS: usize = 40;

/// Steps where any curve has a point, in order.
fn steps(drawing: &Drawing) -> Vec<f64> {
    let mut steps: Vec<f64> = drawing.curves.iter().flat_map(|c| c.points.iter().map(|p| p.x)).collect();
    steps.sort_by(f64::total_cmp);
    steps.dedup();
    steps
}

/// The least and greatest value behind a bucket of several points.
fn spread(point: &CurvePoint) -> Option<String> {
    (point.max > point.min).then(|| format!("{}–{}", figure(point.min), figure(point.max)))
}

#[component]
pub(super) fn Plot(
    title: String,
    drawing: Memo<Drawing>,
    zoom: Callback<Option<(f64, f64)>>,
    zoomable: bool,
) -> impl IntoView {
    let node = NodeRef::<html::Div>::new();
    // The step looked at, and where a drag began, both as values of the x axis.
    let at = RwSignal::new(None::<f64>);
    let drag = RwSignal::new(None::<f64>);
    let value = move |offset: i32| {
        let width = node.get_untracked().map_or(1, |n| n.client_width()).max(1);
        let share = (f64::from(offset) / f64::from(width)).clamp(0.0, 1.0);
        drawing.with_untracked(|d| d.x.low + share * (d.x.high - d.x.low))
    };
    let nearest = move |x: f64| {
        let steps = drawing.with_untracked(steps);
        steps.into_iter().min_by(|a, b| (a - x).abs().total_cmp(&(b - x).abs()))
    };
    let walk = move |by: i64| {
        let steps = drawing.with_untracked(steps);
        let here = at.get_untracked().and_then(|x| steps.iter().position(|s| *s >= x)).unwrap_or(steps.len());
        let next = (here as i64 + by).clamp(0, steps.len().max(1) as i64 - 1) as usize;
        at.set(steps.get(next).copied());
    };
    let release = move |offset: i32| {
        if let Some(from) = drag.get_untracked() {
            drag.set(None);
            let to = value(offset);
            let span = drawing.with_untracked(|d| d.x.high - d.x.low);
            if zoomable && (to - from).abs() > span * 0.02 {
                zoom.run(Some((from.min(to).floor(), from.max(to).ceil())));
            }
        }
    };
    let curves = move || {
        drawing.with(|d| {
            let line = |c: &Curve| geometry::path(c.points.iter().map(|p| (d.x.place(p.x), d.y.place(p.y))));
            let measured = d.measured.iter().map(|c| {
                view! { <g class=format!("series-{}", c.colour)><path class="line measured" d=line(c)/></g> }.into_any()
            });
            let drawn = d.curves.iter().map(|c| {
                let band = c.points.iter().any(|p| p.max > p.min).then(|| {
                    let clamp = |v: f64| d.y.place(v).clamp(0.0, 100.0);
                    let up = c.points.iter().map(|p| (d.x.place(p.x), clamp(p.max)));
                    let down = c.points.iter().rev().map(|p| (d.x.place(p.x), clamp(p.min)));
                    geometry::path(up.chain(down)) + "Z"
                });
                let few = (c.points.len() <= DOTS)
                    .then(|| geometry::dots(c.points.iter().map(|p| (d.x.place(p.x), d.y.place(p.y)))));
                view! {
                    <g class=format!("series-{}", c.colour)>
                        {band.map(|d| view! { <path class="band" d=d/> })}
                        <path class="line" d=line(c)/>
                        {few.map(|d| view! { <path class="dots" d=d/> })}
                    </g>
                }
                .into_any()
            });
            measured.chain(drawn).collect_view()
        })
    };
    let across = move || {
        drawing.with(|d| {
            let ticks = d.y.ticks(4).into_iter();
            ticks
                .map(|v| view! { <i class="grid" style:bottom=format!("{:.2}%", d.y.place(v))></i><span class="tick y" style:bottom=format!("{:.2}%", d.y.place(v))>{figure(v)}</span> })
                .collect_view()
        })
    };
    let along = move || {
        drawing.with(|d| {
            let ticks = d.x.ticks(6).into_iter();
            ticks
                .map(|v| view! { <span class="tick x" style:left=format!("{:.2}%", d.x.place(v))>{figure(v)}</span> })
                .collect_view()
        })
    };
    let tip = move || {
        let x = at.get()?;
        drawing.with(|d| {
            let rows = d
                .curves
                .iter()
                .filter_map(|c| {
                    let point = c.points.iter().rfind(|p| p.x <= x + 0.5)?;
                    Some(view! { <li class=format!("series-{}", c.colour)><i></i>{c.name.clone()}<b class="num">{figure(point.y)}</b><small class="num dim">{spread(point)}</small></li> })
                })
                .collect_view();
            let left = d.x.place(x);
            let leftward = left > 60.0;
            Some(view! {
                <div class="cross" style:left=format!("{left:.2}%")></div>
                <div class="tip" class:leftward=leftward style:left=format!("{left:.2}%") role="status"><b>"Step "{count(x as u64)}</b><ul>{rows}</ul></div>
            })
        })
    };
    let region = move || {
        let (from, to) = (drag.get()?, at.get()?);
        drawing.with(|d| {
            let (a, b) = (d.x.place(from.min(to)), d.x.place(from.max(to)));
            Some(view! { <div class="drag" style:left=format!("{a:.2}%") style:width=format!("{:.2}%", b - a)></div> })
        })
    };
    let empty = move || drawing.with(|d| d.curves.iter().all(|c| c.points.is_empty()));
    view! {
        <div class="plot-box">
            <div class="plot" node_ref=node tabindex="0" role="group" aria-label=format!("{title}. Arrow keys read the values.")
                on:pointermove=move |ev| at.set(nearest(value(ev.offset_x())))
                on:pointerleave=move |_| if drag.get_untracked().is_none() { at.set(None) }
                on:pointerdown=move |ev| {
                    // A finger scrolls the page and reads values; a mouse or pen also zooms.
                    if zoomable && ev.button() == 0 && ev.pointer_type() != "touch" {
                        browser::hold_pointer(&ev);
                        drag.set(Some(value(ev.offset_x())));
                    }
                }
                on:pointercancel=move |_| drag.set(None)
                on:pointerup=move |ev| release(ev.offset_x())
                on:dblclick=move |_| zoom.run(None)
                on:blur=move |_| at.set(None)
                on:keydown=move |ev| match ev.key().as_str() {
                    "ArrowLeft" => { ev.prevent_default(); walk(-1) }
                    "ArrowRight" => { ev.prevent_default(); walk(1) }
                    "Escape" => { at.set(None); zoom.run(None) }
                    _ => {}
                }>
                {across}
                {along}
                <svg viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true">{curves}</svg>
                {region}
                {tip}
                <Show when=empty><p class="plot-empty dim">"No points yet"</p></Show>
            </div>
        </div>
    }
}
