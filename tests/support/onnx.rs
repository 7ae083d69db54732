//! ONNX files made field by field: the few parts of the format that networks of tests have.

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// A field that is a number.
pub(crate) fn number(field: u64, value: i64) -> Vec<u8> {
    [varint(field << 3), varint(value as u64)].concat()
}

/// A field that is bytes, a text or a message.
pub(crate) fn part(field: u64, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [varint(field << 3 | 2), varint(bytes.len() as u64), bytes.to_vec()].concat()
}

/// A `TensorProto` of 32-bit floats.
pub(crate) fn tensor(name: &str, dims: &[i64], numbers: &[f32]) -> Vec<u8> {
    let dims: Vec<u8> = dims.iter().flat_map(|dim| number(1, *dim)).collect();
    let raw: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    [dims, number(2, 1), part(8, name), part(9, raw)].concat()
}

/// A `NodeProto` with attributes that are `AttributeProto`s.
pub(crate) fn node(operator: &str, inputs: &[&str], output: &str, attributes: &[Vec<u8>]) -> Vec<u8> {
    let inputs: Vec<u8> = inputs.iter().flat_map(|input| part(1, input)).collect();
    let attributes: Vec<u8> = attributes.iter().flat_map(|attribute| part(5, attribute)).collect();
    [inputs, part(2, output), part(3, format!("the {output}")), part(4, operator), attributes].concat()
}

/// A `ModelProto` of opset 17 from a row `x` to a row `y` of these widths.
pub(crate) fn model((x, y): (i64, i64), tensors: &[Vec<u8>], nodes: &[Vec<u8>]) -> Vec<u8> {
    let row = |name: &str, width: i64| {
        let dims = [part(1, number(1, 1)), part(1, number(1, width))].concat();
        let kind = part(1, [number(1, 1), part(2, dims)].concat());
        [part(1, name), part(2, kind)].concat()
    };
    let nodes: Vec<u8> = nodes.iter().flat_map(|node| part(1, node)).collect();
    let tensors: Vec<u8> = tensors.iter().flat_map(|tensor| part(5, tensor)).collect();
    let graph = [nodes, part(2, "next"), tensors, part(11, row("x", x)), part(12, row("y", y))].concat();
    [number(1, 8), part(7, graph), part(8, number(2, 17))].concat()
}

/// A row times a matrix, a row added, and shared out: y = softmax(x·w + b), for as many items as `added` has.
pub(crate) fn layer(matrix: &[f32], added: &[f32]) -> Vec<u8> {
    let width = added.len() as i64;
    model(
        (width, width),
        &[tensor("w", &[width, width], matrix), tensor("b", &[width], added)],
        &[
            node("MatMul", &["x", "w"], "product", &[]),
            node("Add", &["product", "b"], "sum", &[]),
            node("Softmax", &["sum"], "y", &[]),
        ],
    )
}
