//! Does `aisled lab` compute what it says, through the real program?

#[path = "lab/next_basket.rs"]
mod next_basket;
