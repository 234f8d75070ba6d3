//! The numbers of the proxy benchmark: a table, JSON, and a plot.

use std::fs;
use std::path::{Path, PathBuf};

use plotters::prelude::*;
use serde_json::json;

use super::Location;

struct Row {
    name: &'static str,
    median: f64,
    spread: (f64, f64),
    /// Median of the differences to the compared location round by round, in microseconds, and of
    /// the ratios.
    against: Option<(f64, f64)>,
}

/// Prints the table and writes the files below `target/bench/`.
pub fn report(locations: &[Location], samples: &[Vec<f64>], memory: &[u64]) {
    let rows: Vec<Row> = locations
        .iter()
        .zip(samples)
        .map(|(location, own)| Row {
            name: location.name,
            median: median(own),
            spread: quartiles(own),
            against: location.base.map(|base| {
                let pairs = || own.iter().zip(&samples[base]);
                let differences: Vec<f64> = pairs().map(|(own, base)| own - base).collect();
                let ratios: Vec<f64> = pairs().map(|(own, base)| own / base).collect();
                (median(&differences), median(&ratios))
            }),
        })
        .collect();

    println!(
        "\nCPU time of the nginx worker per request, median of {} rounds:\n",
        samples[0].len()
    );
    println!("| location | µs | quartiles | signing adds | ratio |");
    println!("|---|---:|---:|---:|---:|");
    for row in &rows {
        let (low, high) = row.spread;
        let (more, ratio) = match row.against {
            Some((more, ratio)) => (format!("{more:+.2} µs"), format!("{ratio:.3}")),
            None => Default::default(),
        };
        println!("| {} | {:.2} | {low:.2}–{high:.2} | {more} | {ratio} |", row.name, row.median);
    }
    let (first, last) = (memory[0], memory[memory.len() - 1]);
    println!(
        "\nmemory of the worker: {first} KiB after the first round, {last} KiB after the last"
    );

    let dir = directory();
    if let Err(error) = write(&dir, locations, samples, &rows, memory) {
        eprintln!("proxy: cannot write to {}: {error}", dir.display());
        return;
    }
    println!("written: {0}/proxy.json, {0}/proxy.svg", dir.display());
}

/// `target/bench`, wherever cargo has its target directory.
fn directory() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target")).join("bench")
}

fn write(
    dir: &Path,
    locations: &[Location],
    samples: &[Vec<f64>],
    rows: &[Row],
    memory: &[u64],
) -> Result<(), Box<dyn std::error::Error>> {
    fs::create_dir_all(dir)?;
    let rows_json: Vec<_> = rows
        .iter()
        .zip(locations)
        .zip(samples)
        .map(|((row, location), samples)| {
            json!({
                "location": row.name,
                "path": location.path,
                "microseconds": { "median": row.median, "quartiles": row.spread, "rounds": samples },
                "signing_adds_microseconds": row.against.map(|(more, _)| more),
                "ratio": row.against.map(|(_, ratio)| ratio),
            })
        })
        .collect();
    let all = json!({ "cpu_per_request": rows_json, "resident_kib": memory });
    fs::write(dir.join("proxy.json"), serde_json::to_string_pretty(&all)? + "\n")?;
    plot(&dir.join("proxy.svg"), rows, samples)
}

/// A bar for each location, with a dot for each round.
fn plot(file: &Path, rows: &[Row], samples: &[Vec<f64>]) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::new(file, (900, 480)).into_drawing_area();
    root.fill(&WHITE)?;
    let top = samples.iter().flatten().fold(0.0_f64, |top, sample| top.max(*sample)) * 1.1;
    let width = rows.len() as f64;
    let mut chart = ChartBuilder::on(&root)
        .caption("CPU time of the nginx worker per request", ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(32)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..width, 0.0..top)?;
    chart.configure_mesh().disable_x_mesh().disable_x_axis().y_desc("µs").draw()?;
    for (index, (row, samples)) in rows.iter().zip(samples).enumerate() {
        let x = index as f64;
        let colour = Palette99::pick(index / 2).mix(if row.against.is_some() { 0.9 } else { 0.4 });
        chart.draw_series([Rectangle::new(
            [(x + 0.1, 0.0), (x + 0.9, row.median)],
            colour.filled(),
        )])?;
        let label = format!("{}: {:.2}", row.name, row.median);
        chart.draw_series([Text::new(label, (x + 0.1, -top * 0.03), ("sans-serif", 15))])?;
        let dots = samples.iter().enumerate().map(|(round, sample)| {
            let place = x + 0.15 + 0.7 * (round as f64 + 0.5) / samples.len() as f64;
            Circle::new((place, *sample), 2, BLACK.mix(0.5).filled())
        });
        chart.draw_series(dots)?;
    }
    root.present()?;
    Ok(())
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values
}

fn median(values: &[f64]) -> f64 {
    let values = sorted(values);
    (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0
}

fn quartiles(values: &[f64]) -> (f64, f64) {
    let values = sorted(values);
    (values[values.len() / 4], values[values.len() * 3 / 4])
}
