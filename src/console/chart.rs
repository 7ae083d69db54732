//! Inline SVG, coloured by classes of the style sheet, each with a text that says the same.
//!
//! Coordinates are integers of the drawing's own units; nothing is measured in the browser.

use maud::{Markup, html};

use super::page::count;

/// A row of bars, as high as the highest; `label` says in words what it shows.
pub(super) fn spark(values: &[u16], label: &str) -> Markup {
    let highest = values.iter().copied().max().unwrap_or_default().max(1);
    let width = values.len() * 3;
    html! {
        svg.spark viewBox={ "0 0 " (width) " 20" } role="img" aria-label=(label) preserveAspectRatio="none" {
            line.axis x1="0" y1="19.5" x2=(width) y2="19.5" {}
            @for (place, value) in values.iter().enumerate().filter(|(_, value)| **value > 0) {
                @let high = (u32::from(*value) * 18).div_ceil(u32::from(highest));
                rect x=(place * 3) y=(19 - high) width="2" height=(high) {}
            }
        }
    }
}

/// A figure between the ends of its interval, with zero where it lies. `scale` are the ends of the axis.
pub(super) fn interval((low, value, high): (f64, f64, f64), scale: (f64, f64), label: &str) -> Markup {
    const WIDTH: f64 = 240.0;
    let span = (scale.1 - scale.0).max(f64::MIN_POSITIVE);
    let at = |x: f64| (((x - scale.0) / span).clamp(0.0, 1.0) * WIDTH).round() as i64;
    let is_within = scale.0 <= 0.0 && scale.1 >= 0.0;
    html! {
        svg.interval viewBox="-4 0 248 28" role="img" aria-label=(label) {
            line.axis x1="0" y1="22" x2="240" y2="22" {}
            @if is_within {
                line.zero x1=(at(0.0)) y1="2" x2=(at(0.0)) y2="26" {}
            }
            line.range x1=(at(low)) y1="12" x2=(at(high)) y2="12" {}
            line.range x1=(at(low)) y1="8" x2=(at(low)) y2="16" {}
            line.range x1=(at(high)) y1="8" x2=(at(high)) y2="16" {}
            circle cx=(at(value)) cy="12" r="4" {}
        }
    }
}

/// Steps of the heat map's colours, none counted.
pub(super) const HEAT_STEPS: usize = 6;

/// The step of a count: 0 for none, else 1 to `HEAT_STEPS`, even parts of the highest.
pub(super) fn heat_step(value: u64, highest: u64) -> usize {
    match (value, highest) {
        (0, _) | (_, 0) => 0,
        _ => (value * HEAT_STEPS as u64).div_ceil(highest).min(HEAT_STEPS as u64) as usize,
    }
}

/// Seven rows of 24 cells. `days` are the rows' names, `cell` says one in words.
pub(super) fn heat(
    cells: &[[u64; 24]; 7],
    days: [&str; 7],
    label: &str,
    cell: impl Fn(usize, usize, u64) -> String,
) -> Markup {
    let highest = cells.iter().flatten().copied().max().unwrap_or_default();
    html! {
        svg.heat viewBox="0 0 808 250" role="img" aria-label=(label) {
            @for hour in (0..24).step_by(2) {
                text.hour x=(40 + hour * 32) y="14" { (hour) }
            }
            @for (row, (hours, day)) in cells.iter().zip(days).enumerate() {
                text.day x="0" y=(20 + row * 32 + 20) { (day) }
                @for (hour, value) in hours.iter().enumerate() {
                    rect class={ "h" (heat_step(*value, highest)) } x=(40 + hour * 32) y=(20 + row * 32)
                        width="30" height="30" rx="3" { title { (cell(row, hour, *value)) } }
                }
            }
        }
    }
}

/// What the heat map's colours mean.
pub(super) fn heat_legend(highest: u64, none: &str) -> Markup {
    let steps = HEAT_STEPS as u64;
    html! {
        ul.legend {
            @if highest > 0 {
                li { svg viewBox="0 0 14 14" aria-hidden="true" { rect.h0 width="14" height="14" rx="2" {} } (none) }
                @for step in 1..=steps {
                    @let (from, to) = ((step - 1) * highest / steps + 1, step * highest / steps);
                    @if from <= to {
                        li {
                            svg viewBox="0 0 14 14" aria-hidden="true" { rect class={ "h" (step) } width="14" height="14" rx="2" {} }
                            @if from == to { (count(to as i64)) } @else { (count(from as i64)) "–" (count(to as i64)) }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_colour_has_a_count() {
        assert_eq!(heat_step(0, 60), 0);
        assert_eq!((heat_step(1, 60), heat_step(10, 60), heat_step(11, 60), heat_step(60, 60)), (1, 1, 2, 6));
        assert_eq!((heat_step(1, 1), heat_step(1, 2), heat_step(2, 2)), (6, 3, 6));
    }

    #[test]
    fn does_a_drawing_stay_in_its_frame() {
        let drawn = interval((-900.0, 5.0, 900.0), (-100.0, 100.0), "x").into_string();
        assert!(
            drawn.contains("cx=\"126\"") && drawn.contains("x1=\"0\"") && drawn.contains("x2=\"240\""),
            "{drawn}"
        );
        let drawn = spark(&[0, 1, 65_535], "x").into_string();
        assert!(drawn.contains("height=\"18\"") && drawn.matches("<rect").count() == 2, "{drawn}");
    }
}
