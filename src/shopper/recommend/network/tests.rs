//! Which networks are taken, which are refused and why, and does one say what its numbers say?

use proptest::prelude::*;

use super::*;
use crate::shopper::recommend::history::{History, Moment};

use super::onnx::{layer, model, node, number, part, tensor};

/// Six items, the matrix row by row.
const MATRIX: [f32; 36] = [
    0.5, -0.25, 1.0, 0.0, 0.125, 2.0, //
    1.5, 0.5, -1.0, 0.25, 0.0, 0.0, //
    0.0, 0.75, 0.5, -0.5, 1.0, -2.0, //
    -1.0, 0.0, 0.25, 1.0, 0.5, 0.125, //
    0.25, 0.0, 0.0, 0.5, -0.75, 1.0, //
    0.0, 1.0, -0.5, 0.0, 0.25, 0.5,
];
const ADDED: [f32; 6] = [0.1, -0.2, 0.3, 0.0, -0.1, 0.05];

/// softmax(x·w + b), worked out in doubles.
fn expected(row: &[f64; 6]) -> Vec<f64> {
    let sums: Vec<f64> = (0..6)
        .map(|column| {
            let product: f64 = (0..6).map(|from| row[from] * f64::from(MATRIX[from * 6 + column])).sum();
            product + f64::from(ADDED[column])
        })
        .collect();
    let whole: f64 = sums.iter().map(|sum| sum.exp()).sum();
    sums.iter().map(|sum| sum.exp() / whole).collect()
}

fn refused(bytes: &[u8]) -> (Code, String) {
    let fault = Network::read(bytes, 6).expect_err("it is refused");
    (fault.code(), fault.to_string())
}

#[test]
fn does_a_network_say_what_its_numbers_say() {
    let network = Network::read(&layer(&MATRIX, &ADDED), 6).expect("it is good");
    for row in [[0.0; 6], [1.0, 0.0, 2.0, 0.0, 0.0, 0.9], [0.81, 3.0, 0.0, 1.9, 0.0, 7.5]] {
        let answer = network.ask(row.iter().map(|number| *number as f32).collect()).expect("numbers");
        for (found, wanted) in answer.iter().zip(expected(&row)) {
            assert!((f64::from(*found) - wanted).abs() < 1e-6, "{row:?}: {answer:?}");
        }
    }
}

#[test]
fn are_items_scored_by_what_was_bought_and_how_lately() {
    let network = Arc::new(Network::read(&layer(&MATRIX, &ADDED), 6).expect("it is good"));
    let mut history = History::default();
    let at = |day| Moment { day, hour: 9 };
    history.push([(at(0), &[7, 2][..]), (at(3), &[7, 0]), (at(5), &[7, 99])]);
    history.push([(at(0), &[4][..])]);
    // The columns' items; the fourth is not sold here, the last one is not known to the model any more.
    let wired = Wired::new(network, [Some(7), Some(2), Some(0), None, Some(5), Some(6)]);
    let mut tally = Tally::default();
    tally.clear(8);
    wired.score(history.past(0, 0), 8, &mut tally);
    let row = [1.0 + 0.9 + 0.81, 0.81, 0.9, 0.0, 0.0, 0.0];
    let wanted = expected(&row);
    for (item, column) in [(7, 0), (2, 1), (0, 2), (5, 4), (6, 5)] {
        let found = f64::from(tally.get(item));
        assert!((found - wanted[column]).abs() < 1e-5, "{item}: {found} and not {}", wanted[column]);
    }
    assert_eq!(tally.touched().len(), 5);
    tally.clear(3);
    wired.score(history.past(0, 0), 3, &mut tally);
    assert_eq!(tally.touched().len(), 2, "items that the sources do not know are passed over");
    tally.clear(8);
    wired.score(history.past(1, 0), 8, &mut tally);
    assert!(tally.touched().is_empty(), "who bought nothing of its columns is told nothing");
}

#[test]
fn which_layers_are_taken() {
    let float = |name: &str, value: f32| {
        [part(1, name), vec![0x15], value.to_le_bytes().to_vec(), number(20, 1)].concat()
    };
    let whole = |name: &str, value: i64| [part(1, name), number(3, value), number(20, 2)].concat();
    let held = || {
        vec![
            tensor("w", &[4, 6], &[0.5; 24]),
            tensor("b", &[4], &[0.25; 4]),
            tensor("v", &[4, 6], &[0.1; 24]),
        ]
    };
    let two = vec![
        node("Gemm", &["x", "w", "b"], "hidden", &[whole("transB", 1), float("alpha", 0.5)]),
        node("Tanh", &["hidden"], "bent", &[]),
        node("MatMul", &["bent", "v"], "y", &[]),
    ];
    let network = Network::read(&model((6, 6), &held(), &two), 6).expect("two layers");
    let answer = network.ask(vec![1.0; 6]).expect("numbers");
    let wanted = 4.0 * 0.1 * (0.5 * 6.0 * 0.5 + 0.25_f64).tanh();
    assert!(answer.iter().all(|found| (f64::from(*found) - wanted).abs() < 1e-6), "{answer:?} {wanted}");
    for (operator, attributes, wanted) in [
        ("Relu", vec![], 1.0),
        ("LeakyRelu", vec![float("alpha", 0.1)], 1.0),
        ("Elu", vec![], 1.0),
        ("Sigmoid", vec![], 1.0 / (1.0 + (-1.0_f64).exp())),
        ("Tanh", vec![], 1.0_f64.tanh()),
        ("Softplus", vec![], (1.0 + 1.0_f64.exp()).ln()),
        ("Softmax", vec![whole("axis", 1)], 1.0 / 6.0),
        ("LogSoftmax", vec![whole("axis", -1)], (1.0 / 6.0_f64).ln()),
        ("Identity", vec![], 1.0),
    ] {
        let nodes = [node(operator, &["x"], "y", &attributes)];
        let network = Network::read(&model((6, 6), &[], &nodes), 6).unwrap_or_else(|fault| panic!("{fault}"));
        let answer = network.ask(vec![1.0; 6]).expect("numbers");
        assert!((f64::from(answer[3]) - wanted).abs() < 1e-5, "{operator}: {answer:?}");
    }
    for (operator, wanted) in [("Add", 3.0), ("Sub", -1.0), ("Mul", 2.0), ("Div", 0.5)] {
        for dims in [&[6][..], &[1, 6], &[1], &[]] {
            let count = dims.iter().product::<i64>() as usize;
            let constant =
                [part(1, "value"), part(5, tensor("", dims, &vec![2.0; count])), number(20, 4)].concat();
            let nodes = [node("Constant", &[], "two", &[constant]), node(operator, &["x", "two"], "y", &[])];
            let network =
                Network::read(&model((6, 6), &[], &nodes), 6).unwrap_or_else(|fault| panic!("{fault}"));
            assert_eq!(network.ask(vec![1.0; 6]).expect("numbers"), [wanted; 6], "{operator} {dims:?}");
        }
    }
}

#[test]
fn is_each_fault_named_with_its_place() {
    let softmax = || vec![node("Softmax", &["x"], "y", &[])];
    let product = || vec![node("MatMul", &["x", "w"], "y", &[])];
    let with = |tensors: &[Vec<u8>], nodes: &[Vec<u8>]| refused(&model((6, 6), tensors, nodes));
    let mut odd = MATRIX;
    odd[13] = f32::NAN;
    let (code, text) = refused(&layer(&odd, &ADDED));
    assert_eq!(
        (code, &*text),
        (Code::ModelNotFinite, "use the network: number 13 of tensor \"w\" is not finite")
    );
    let (code, text) = with(&[tensor("w", &[6, 5], &[0.0; 30])], &product());
    assert_eq!(
        (code, &*text),
        (Code::ModelShape, "use the network: the output has shape [1, 5] and should have [1, 6]")
    );
    let (code, text) = with(&[tensor("w", &[5, 6], &[0.0; 30])], &product());
    assert_eq!(code, Code::ModelShape);
    assert!(text.contains("node \"the y\" has shape [1, 6] and [5, 6]"), "{text}");
    let (code, text) = refused(&model((7, 6), &[], &softmax()));
    assert_eq!(code, Code::ModelShape);
    assert!(text.contains("the input has shape [1, 7]"), "{text}");
    let (code, text) = with(&[], &[node("Loop", &["x"], "y", &[])]);
    assert_eq!(code, Code::ModelOperator);
    assert!(text.contains("node \"the y\" has the operator Loop"), "{text}");
    let (code, text) = with(&[tensor("w", &[1_000, 1_000], &[])], &product());
    assert_eq!(code, Code::ModelShape, "a claim of numbers that are not there: {text}");
    let overflow = with(
        &[tensor("w", &[1], &[3e38])],
        &[node("Mul", &["x", "w"], "z", &[]), node("Mul", &["z", "w"], "y", &[])],
    );
    assert_eq!(overflow.0, Code::ModelNotFinite);
    assert!(overflow.1.contains("of the answer to "), "{}", overflow.1);
    let noughts = with(&[tensor("w", &[1], &[0.0])], &[node("Div", &["x", "w"], "y", &[])]);
    assert_eq!(noughts.0, Code::ModelNotFinite, "{}", noughts.1);
    let elsewhere = [tensor("w", &[6, 6], &[]), number(14, 1)].concat();
    assert_eq!(with(&[elsewhere], &product()).0, Code::ModelUnreadable);
    let doubles = [number(1, 6), number(2, 11), part(8, "w"), part(9, [0; 48])].concat();
    assert_eq!(with(&[doubles], &product()).0, Code::ModelUnreadable);
    assert_eq!(
        with(&[], &product()),
        (
            Code::ModelUnreadable,
            "use the network: node \"the y\" reads \"w\", which nothing made before".to_owned()
        )
    );
    assert_eq!(with(&[], &[node("Relu", &["x"], "x", &[])]).0, Code::ModelUnreadable);
    let axis = [part(1, "axis"), number(3, 0), number(20, 2)].concat();
    assert_eq!(with(&[], &[node("Softmax", &["x"], "y", &[axis])]).0, Code::ModelUnreadable);
    assert_eq!(with(&[], &vec![node("Relu", &["x"], "y", &[]); 300]).0, Code::ModelTooLarge);
    assert_eq!(refused(&vec![0; 9 * 1024 * 1024]).0, Code::ModelTooLarge);
    assert_eq!(refused(b"").0, Code::ModelUnreadable);
    assert_eq!(refused(b"\x7fELF hello").0, Code::ModelUnreadable);
    assert_eq!(refused(&[part(7, [])].concat()).0, Code::ModelUnreadable);
    let crowd = part(7, [0x0a, 0x00].repeat(1_000_000));
    assert_eq!(refused(&crowd).1, "use the network: 65537 fields, at most 65536");
    let numbers = part(7, part(5, [number(2, 1), part(9, [0x0a, 0x00].repeat(1_000_000))].concat()));
    assert_eq!(refused(&numbers).0, Code::ModelUnreadable, "numbers of a tensor are no fields");
    // A length of 100 MB with nothing behind it.
    assert_eq!(refused(&[0x3a, 0x80, 0xc2, 0xd7, 0x2f]).0, Code::ModelUnreadable);
    assert_eq!(
        Network::read(&layer(&MATRIX, &ADDED), 0).map_err(|fault| fault.code()).err(),
        Some(Code::ModelShape)
    );
    assert_eq!(
        Network::read(&layer(&MATRIX, &ADDED), 5_000).map_err(|fault| fault.code()).err(),
        Some(Code::ModelTooLarge)
    );
}

#[test]
fn is_what_a_question_costs_bounded() {
    let width = 1_001;
    let nodes = [node("MatMul", &["x", "w"], "y", &[])];
    let bytes =
        model((width, width), &[tensor("w", &[width, width], &vec![0.0; (width * width) as usize])], &nodes);
    let fault = Network::read(&bytes, width as usize).expect_err("too much work");
    assert_eq!(fault.to_string(), "use the network: 1014013 multiply-adds a question, at most 1000000");
}

#[test]
fn is_every_beginning_of_a_file_refused() {
    let bytes = layer(&MATRIX, &ADDED);
    for end in 0..bytes.len() {
        let fault = Network::read(&bytes[..end], 6).expect_err("cut short");
        assert!(!fault.to_string().is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever the bytes, an answer comes: a network whose scores are numbers, or a fault.
    #[test]
    fn does_no_damage_do_more_than_be_refused(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
        keeps in any::<bool>(),
    ) {
        let mut bytes = layer(&MATRIX, &ADDED);
        for (at, with) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= with;
        }
        if !keeps {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(network) = Network::read(&bytes, 6) {
            prop_assert!(network.ask(vec![0.0; 6]).is_ok_and(|scores| scores.iter().all(|score| score.is_finite())));
        }
    }

    #[test]
    fn is_noise_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(Network::read(&bytes, 6).is_err());
    }
}
