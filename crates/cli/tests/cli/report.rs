//! What the report of a run shows of its numbers.

use std::fs;

use crate::{
    chart::{Chart, Series, number},
    data::pictures,
    run::Place,
};

fn chart(points: Vec<(f64, f64)>) -> String {
    let chart = Chart {
        title: "of some numbers",
        note: "",
        log: false,
        series: vec![Series::new("", points)],
    };
    chart.svg().unwrap().unwrap()
}

/// The texts of a picture that are numbers.
fn marks(svg: &str) -> Vec<f64> {
    svg.lines().filter_map(|line| line.parse().ok()).collect()
}

#[test]
fn long_curves_are_drawn_by_their_means() {
    // Pairs of 0 and 2, each of which is one point.
    let points = (0..800).map(|step| (f64::from(step + 1), f64::from(step % 2 * 2)));
    let svg = chart(points.collect());
    // Those of the steps are 0 and hundreds; a constant 1 has half of it around it.
    let values = marks(&svg).into_iter();
    let values: Vec<f64> = values.filter(|mark| *mark > 0.0 && *mark < 10.0).collect();
    let is_near = |value: &f64| (0.5..=1.5).contains(value);
    assert!(
        !values.is_empty() && values.iter().all(is_near),
        "{values:?}"
    );
}

#[test]
fn steps_are_whole_and_zero_is_zero() {
    for (last, expected) in [
        (1.0, vec![0.0, 1.0]),
        (3.0, vec![0.0, 1.0, 2.0, 3.0]),
        (30.0, vec![0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0]),
        (
            700.0,
            vec![0.0, 100.0, 200.0, 300.0, 400.0, 500.0, 600.0, 700.0],
        ),
    ] {
        let rising = vec![(0.0, 1e-17), (last, 0.001)];
        let found = marks(&chart(rising));
        let steps: Vec<f64> = found
            .iter()
            .copied()
            .filter(|mark| mark.fract() == 0.0)
            .collect();
        // The marks of the values, below 1, have one 0 too.
        let zeros = steps.iter().filter(|step| **step == 0.0).count();
        assert_eq!(zeros, 2, "{found:?}");
        for step in expected {
            assert!(steps.contains(&step), "{step} of {last}: {found:?}");
        }
        assert!(found.iter().all(|mark| *mark >= 0.0), "{found:?}");
    }
    for (value, text) in [
        (0.0, "0"),
        (1.0, "1"),
        (0.000_25, "0.00025"),
        (0.019_68, "0.01968"),
        (149.669, "149.7"),
        (8234.56, "8234.6"),
        (7.99e13, "7.99e13"),
        (-2e-5, "-2e-5"),
    ] {
        assert_eq!(number(value), text);
    }
}

#[test]
fn the_figures_are_those_of_the_files() {
    let place = Place::new();
    pictures(&place, "a&b", 4);
    place.succeed(
        "train --config small.toml --data folder --path a&b --size 8 --channels grey --steps 2 --out run",
    );
    place.write(
        "run/steps.csv",
        "step,loss,gradient_norm,learning_rate,seconds,data_seconds\n1,0.5,2.0,0.1,3.0,1.0\n2,0.25,2.0,0.1,3.0,1.0\n",
    );
    place.write("run/validation.csv", "step,loss\n1,0.75\n2,0.625\n");
    place.write(
        "run/levels.csv",
        "step,sigma_min,sigma_max,rows,loss\n1,0.5,1.0,1,0.5\n1,1.0,2.5,1,0.7\n2,0.5,1.0,1,0.4\n2,1.0,2.5,1,0.6\n",
    );
    place.succeed("train --resume --out run");
    let page = fs::read_to_string(place.path("run/report.html")).unwrap();
    for words in [
        "<td>0.25</td>",
        "<td>0.625 after step 2</td>",
        "Seconds per step, mean</th><td>3</td>",
        "</span> sigma 0.5 to 1 <",
        "</span> sigma 1 to 2.5 ",
        "a&amp;b",
    ] {
        assert!(page.contains(words), "{words}");
    }
    assert!(!page.contains("a&b"));
    // A quarter of the time, drawn with room around it.
    let (_, waiting) = page.split_once("waiting for data\n").unwrap();
    let (waiting, _) = waiting.split_once("</svg>").unwrap();
    let values = marks(waiting).into_iter().filter(|mark| mark.fract() > 0.0);
    let values: Vec<f64> = values.collect();
    assert!(
        values.contains(&0.25) && values.iter().all(|value| *value < 0.5),
        "{values:?}"
    );
}
