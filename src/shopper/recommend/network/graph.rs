//! What a graph may hold: one row through layers.
//!
//! The input is a row [1, N] of 32-bit floats; every node makes one row of rows and of the weights that the file holds; the last
//! is the output, [1, N] again. No node works on weights alone, no tensor has more than two dimensions, nothing lies in another
//! file. So each value's size follows from the weights that are there, and what a question costs is a sum over the nodes.

use std::collections::BTreeMap;

use tract_onnx::pb::tensor_shape_proto::dimension::Value as Dimension;
use tract_onnx::pb::type_proto::Value as Type;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};

use super::NetworkFault;
use crate::limits;

/// The format's numbers: a tensor of 32-bit floats, and data in another file.
const FLOATS: i32 = 1;
const ELSEWHERE: i32 = 1;
/// Versions of the operators that tract is tried against.
const OPSETS: std::ops::RangeInclusive<i64> = 9..=18;
/// What an operation on one number of a row counts, in multiply-adds: an exponential takes as long as a dozen.
const EACH: u64 = 12;

/// What an operator makes of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Makes {
    /// A row times a matrix.
    Product,
    /// The same, a row added.
    Layer,
    /// Two, number by number.
    Pair,
    /// One, number by number, or scaled as a whole.
    Same,
}

/// Each operator with the attributes it may have.
const OPERATORS: &[(&str, Makes, &[&str])] = &[
    ("MatMul", Makes::Product, &[]),
    ("Gemm", Makes::Layer, &["alpha", "beta", "transA", "transB"]),
    ("Add", Makes::Pair, &[]),
    ("Sub", Makes::Pair, &[]),
    ("Mul", Makes::Pair, &[]),
    ("Div", Makes::Pair, &[]),
    ("Relu", Makes::Same, &[]),
    ("LeakyRelu", Makes::Same, &["alpha"]),
    ("Elu", Makes::Same, &["alpha"]),
    ("Sigmoid", Makes::Same, &[]),
    ("Tanh", Makes::Same, &[]),
    ("Softplus", Makes::Same, &[]),
    ("Softmax", Makes::Same, &["axis"]),
    ("LogSoftmax", Makes::Same, &["axis"]),
    ("Identity", Makes::Same, &[]),
];

/// Every operator, for a message.
pub(super) fn operators() -> String {
    let names: Vec<&str> = OPERATORS.iter().map(|(name, ..)| *name).collect();
    format!("{} and Constant", names.join(", "))
}

/// A text of the file, harmless and short.
pub(super) fn quoted(text: &str) -> String {
    let kept: String = text.chars().take(limits::RECOMMEND_NETWORK_NAME_CHARS_MAX).collect();
    kept.escape_debug().collect()
}

#[derive(Clone, Copy)]
enum Value<'m> {
    /// Computed: a row of so many numbers.
    Row(usize),
    /// Held by the file, of this shape.
    Held(&'m [i64]),
}

impl Value<'_> {
    /// How many numbers it has beside another row.
    fn width(self) -> Option<usize> {
        match self {
            Value::Row(width) => Some(width),
            Value::Held([]) => Some(1),
            Value::Held([width] | [1, width]) => usize::try_from(*width).ok(),
            Value::Held(_) => None,
        }
    }

    fn shape(self) -> String {
        match self {
            Value::Row(width) => format!("[1, {width}]"),
            Value::Held(dims) => format!("{dims:?}"),
        }
    }
}

/// Refuses a model that holds anything else, costs too much or is not of `width` columns; what is of no use to a run is taken
/// out of it.
pub(super) fn check(model: &mut ModelProto, width: usize) -> Result<(), NetworkFault> {
    let unreadable = |what: &str| Err(NetworkFault::Unreadable(what.to_owned()));
    if !model.functions.is_empty() || !model.training_info.is_empty() {
        return unreadable("it holds functions or a training, and only a graph is taken");
    }
    let opset = model.opset_import.iter().find(|import| is_standard(&import.domain));
    if !opset.is_some_and(|import| OPSETS.contains(&import.version)) {
        let found = opset.map_or_else(|| "none".to_owned(), |import| import.version.to_string());
        let (from, to) = (OPSETS.start(), OPSETS.end());
        let what = format!("its opset is {found}; export it with one of {from} to {to}");
        return Err(NetworkFault::Unreadable(what));
    }
    model.metadata_props.clear();
    model.doc_string.clear();
    let Some(graph) = &mut model.graph else { return unreadable("it holds no graph") };
    if !graph.sparse_initializer.is_empty() {
        return unreadable("it holds sparse tensors, and only whole ones are taken");
    }
    graph.value_info.clear();
    graph.quantization_annotation.clear();
    let parts = graph.node.len() + graph.initializer.len() + graph.input.len() + graph.output.len();
    NetworkFault::large("nodes and tensors", parts as u64, limits::RECOMMEND_NETWORK_PARTS_MAX)?;
    walk(graph, width)
}

fn is_standard(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

fn walk(graph: &GraphProto, width: usize) -> Result<(), NetworkFault> {
    let mut values: BTreeMap<&str, Value<'_>> = BTreeMap::new();
    let mut name = |name, value| match values.insert(name, value) {
        None => Ok(()),
        Some(_) => Err(NetworkFault::Unreadable(format!("{:?} is there twice", quoted(name)))),
    };
    for tensor in &graph.initializer {
        name(&tensor.name, Value::Held(weights(tensor, &tensor.name)?))?;
    }
    // Older files name their weights among the inputs too.
    let is_held = |info: &&ValueInfoProto| graph.initializer.iter().any(|held| held.name == info.name);
    let inputs: Vec<&ValueInfoProto> = graph.input.iter().filter(|info| !is_held(info)).collect();
    let ([input], [output]) = (&*inputs, &*graph.output) else {
        let found = format!("{} and {}", inputs.len(), graph.output.len());
        return Err(NetworkFault::shape("the number of inputs and outputs", "1 and 1", found));
    };
    declared("the input", input, width)?;
    declared("the output", output, width)?;
    name(&input.name, Value::Row(width))?;
    let mut cost = 0_u64;
    for node in &graph.node {
        let [made] = &*node.output else {
            return Err(NetworkFault::shape(place(node), "1 output", node.output.len().to_string()));
        };
        let value = if node.op_type == "Constant" && is_standard(&node.domain) {
            Value::Held(constant(node)?)
        } else {
            Value::Row(row(node, &values, &mut cost)?)
        };
        if values.insert(made, value).is_some() || made.is_empty() {
            return Err(NetworkFault::Unreadable(format!("{} makes what is there already", place(node))));
        }
    }
    NetworkFault::large("multiply-adds a question", cost, limits::RECOMMEND_NETWORK_MULTIPLY_ADDS_MAX)?;
    match values.get(&*output.name) {
        Some(Value::Row(made)) if *made == width => Ok(()),
        Some(value) => Err(NetworkFault::shape("the output", format!("[1, {width}]"), value.shape())),
        None => Err(NetworkFault::Unreadable(format!("nothing makes {:?}", quoted(&output.name)))),
    }
}

/// How a node is called in a message.
fn place(node: &NodeProto) -> String {
    let name = if node.name.is_empty() { node.output.first().map_or("", |made| made) } else { &node.name };
    format!("node \"{}\"", quoted(name))
}

/// What a file says of its input or output: a row, fixed.
fn declared(place: &str, info: &ValueInfoProto, width: usize) -> Result<(), NetworkFault> {
    let wanted = format!("[1, {width}] of 32-bit floats");
    let kind = info.r#type.as_ref().and_then(|kind| kind.value.as_ref());
    let Some(Type::TensorType(tensor)) = kind else {
        return Err(NetworkFault::shape(place, wanted, "none that is told"));
    };
    let dims = tensor.shape.iter().flat_map(|shape| &shape.dim).map(|dim| match &dim.value {
        Some(Dimension::DimValue(size)) => size.to_string(),
        Some(Dimension::DimParam(name)) => quoted(name),
        None => "?".to_owned(),
    });
    let dims: Vec<String> = dims.take(limits::RECOMMEND_NETWORK_PARTS_MAX).collect();
    if tensor.elem_type != FLOATS || dims != ["1".to_owned(), width.to_string()] {
        let found = format!("[{}] of type {}", dims.join(", "), tensor.elem_type);
        return Err(NetworkFault::shape(place, wanted, found));
    }
    Ok(())
}

/// The shape of a tensor that the file holds: all of it, and only numbers.
fn weights<'m>(tensor: &'m TensorProto, name: &str) -> Result<&'m [i64], NetworkFault> {
    let place = format!("tensor \"{}\"", quoted(name));
    if tensor.data_location == Some(ELSEWHERE) || !tensor.external_data.is_empty() {
        let what = format!("{place} lies in another file; export the model as one");
        return Err(NetworkFault::Unreadable(what));
    }
    if tensor.data_type != FLOATS || tensor.segment.is_some() {
        let what =
            format!("{place} holds type {}; only 32-bit floats are taken, in one piece", tensor.data_type);
        return Err(NetworkFault::Unreadable(what));
    }
    let dims = &tensor.dims;
    let held = if tensor.raw_data.is_empty() { tensor.float_data.len() * 4 } else { tensor.raw_data.len() };
    let bytes = dims.iter().try_fold(4_usize, |bytes, dim| bytes.checked_mul(usize::try_from(*dim).ok()?));
    if dims.len() > 2 || held == 0 || bytes != Some(held) {
        let shown = &dims[..dims.len().min(3)];
        let wanted = "at most 2 dimensions, all of whose numbers the file holds";
        return Err(NetworkFault::shape(place, wanted, format!("{shown:?} with {held} bytes")));
    }
    let raw = tensor
        .raw_data
        .chunks_exact(4)
        .map(|four| f32::from_le_bytes(four.try_into().expect("chunks of four are four")));
    if let Some(at) = raw.chain(tensor.float_data.iter().copied()).position(|number| !number.is_finite()) {
        return Err(NetworkFault::NotFinite { place, at });
    }
    Ok(dims)
}

fn constant(node: &NodeProto) -> Result<&[i64], NetworkFault> {
    match (&*node.attribute, &*node.input) {
        ([only], []) if only.name == "value" => match &only.t {
            Some(tensor) => weights(tensor, &node.output[0]),
            None => Err(NetworkFault::Unreadable(format!("{} holds no tensor", place(node)))),
        },
        _ => Err(NetworkFault::Unreadable(format!("{} is no tensor of numbers", place(node)))),
    }
}

/// The width of the row that a node makes; what it costs is added.
fn row(node: &NodeProto, values: &BTreeMap<&str, Value<'_>>, cost: &mut u64) -> Result<usize, NetworkFault> {
    let known = OPERATORS.iter().find(|(name, ..)| *name == node.op_type && is_standard(&node.domain));
    let Some((_, makes, taken)) = known else {
        return Err(NetworkFault::Operator { node: place(node), operator: quoted(&node.op_type) });
    };
    let transposed = attributes(node, taken)?;
    let mut inputs = Vec::new();
    for input in &node.input {
        let Some(value) = values.get(&**input) else {
            let what = format!("{} reads {:?}, which nothing made before", place(node), quoted(input));
            return Err(NetworkFault::Unreadable(what));
        };
        inputs.push(*value);
    }
    let wrong = || {
        let found: Vec<String> = inputs.iter().take(4).map(|value| value.shape()).collect();
        let wanted = match makes {
            Makes::Product => "[1, k] x [k, m], the second one weights",
            Makes::Layer => "[1, k] x [k, m] + [m], the last two weights",
            Makes::Pair => "[1, k] and [k], one of them computed",
            Makes::Same => "[1, k], computed",
        };
        NetworkFault::shape(place(node), wanted, found.join(" and "))
    };
    let made = match (makes, &*inputs) {
        (Makes::Product, [Value::Row(width), Value::Held(matrix)]) => multiplied(*width, matrix, false, cost),
        (Makes::Layer, [Value::Row(width), Value::Held(matrix), added @ ..]) => {
            let made = multiplied(*width, matrix, transposed, cost);
            let fits = |made: &usize| match added {
                [] => true,
                [Value::Held(row)] => Value::Held(row).width().is_some_and(|has| has == *made || has == 1),
                _ => false,
            };
            made.filter(fits)
        }
        (Makes::Pair, [left, right]) => {
            let is_computed = [left, right].iter().any(|value| matches!(value, Value::Row(_)));
            match (left.width(), right.width()) {
                _ if !is_computed => None,
                (Some(left), Some(right)) if left == right || right == 1 => Some(left),
                (Some(1), Some(right)) => Some(right),
                _ => None,
            }
        }
        (Makes::Same, [Value::Row(width)]) => Some(*width),
        _ => None,
    };
    let made = made.ok_or_else(wrong)?;
    *cost = cost.saturating_add(made as u64 * EACH);
    Ok(made)
}

/// The width of a row times a matrix.
fn multiplied(width: usize, matrix: &[i64], transposed: bool, cost: &mut u64) -> Option<usize> {
    let &[rows, columns] = matrix else { return None };
    let (has, makes) = if transposed { (columns, rows) } else { (rows, columns) };
    let made = usize::try_from(makes).ok().filter(|_| usize::try_from(has) == Ok(width))?;
    *cost = cost.saturating_add((width as u64).saturating_mul(made as u64));
    Some(made)
}

/// Refuses attributes that an operator does not have here; answers whether its matrix stands transposed.
fn attributes(node: &NodeProto, taken: &[&str]) -> Result<bool, NetworkFault> {
    let mut transposed = false;
    for (at, attribute) in node.attribute.iter().enumerate() {
        let is_new = node.attribute[..at].iter().all(|before| before.name != attribute.name);
        let is_taken = is_new
            && taken.contains(&&*attribute.name)
            && attribute.ref_attr_name.is_empty()
            && match &*attribute.name {
                "transA" => attribute.i == 0,
                "transB" => matches!(attribute.i, 0 | 1),
                "axis" => matches!(attribute.i, 1 | -1),
                _ => true,
            };
        if !is_taken {
            let (name, number) = (quoted(&attribute.name), attribute.i);
            let what = format!("{} has the attribute {name} ({number}), which is not taken", place(node));
            return Err(NetworkFault::Unreadable(what));
        }
        if !attribute.f.is_finite() {
            let place = format!("{} attribute {}", place(node), quoted(&attribute.name));
            return Err(NetworkFault::NotFinite { place, at: 0 });
        }
        transposed |= attribute.name == "transB" && attribute.i == 1;
    }
    Ok(transposed)
}
