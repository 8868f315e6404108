//! The random programs of `random.rs`, by number: each seed is one program, so that hours can be run and any one of
//! them again.
//!
//!     POND_SIM_SEED=7       only this one, or the first one
//!     POND_SIM_SECONDS=60   so long, from the first seed on; otherwise a few dozen seeds

use std::time::{Duration, Instant};

use pondsocket::session::Config;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

use crate::random::{Outcome, Step, config, joined_everywhere, run, step};
use crate::server::{DIALECTS, Dialect};

const SEEDS: u64 = 60;

/// Says which seed it was, when a check panics.
struct Running(u64);

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "simulation: seed {} failed: POND_SIM_SEED={} cargo test --test session simulation",
                self.0, self.0
            );
        }
    }
}

fn program(seed: u64) -> (Dialect, Config, Vec<Step>) {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(ProptestConfig::default(), rng);
    let steps = proptest::collection::vec(step(), 1..400);
    let all = (
        proptest::sample::select(DIALECTS.to_vec()),
        config(),
        any::<bool>(),
        steps,
    );
    let (dialect, config, joined, steps) = all.new_tree(&mut runner).unwrap().current();
    let mut program = if joined { joined_everywhere() } else { Vec::new() };
    program.extend(steps);
    (dialect, config, program)
}

fn simulate(seed: u64) -> Outcome {
    let _running = Running(seed);
    let (dialect, config, steps) = program(seed);
    run(dialect, config, seed, &steps)
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

#[test]
fn simulation() {
    let first = number("POND_SIM_SEED");
    let seconds = number("POND_SIM_SECONDS").map(Duration::from_secs);
    let begun = Instant::now();
    let mut total = Outcome::default();
    let mut seed = first.unwrap_or(1);
    let tell = |total: &Outcome, next: u64| {
        eprintln!(
            "simulation: seeds {} to {}: {} steps, {:.1} h of simulated time, {} connects, {} frames out, {} frames in, \
             {} s of wall time",
            first.unwrap_or(1),
            next - 1,
            total.steps,
            total.time as f64 / 3_600_000.0,
            total.connects,
            total.frames_out,
            total.frames_in,
            begun.elapsed().as_secs()
        );
    };
    loop {
        total.add(&simulate(seed));
        seed += 1;
        let enough = match (seconds, first) {
            (Some(limit), _) => begun.elapsed() >= limit,
            (None, Some(_)) => true,
            (None, None) => seed > SEEDS,
        };
        if enough {
            break;
        }
        if seed % 50_000 == 1 {
            tell(&total, seed);
        }
    }
    tell(&total, seed);
    assert!(
        first.is_some() || (total.connects > 100 && total.frames_in > 1_000),
        "hardly anything happened"
    );
}

/// Otherwise a printed seed would be worth nothing.
#[test]
fn a_seed_is_a_program() {
    let text = |seed| format!("{:?}", program(seed));
    for seed in 1..20 {
        assert_eq!(text(seed), text(seed));
        assert_eq!(simulate(seed), simulate(seed));
    }
    assert_ne!(text(1), text(2));
}
