//! The weights of a decoder by their places, so that files can be read and written without knowing its fields.

use crate::{
    block::{Block, Linear, Norm},
    decoder::Decoder,
};
use burn::{module::Param, tensor::Tensor};

/// A part of the decoder that has weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Embedding,
    Positions,
    AttentionNorm,
    Query,
    Key,
    Value,
    Output,
    QueryNorm,
    KeyNorm,
    FeedNorm,
    Gate,
    Up,
    Down,
    FinalNorm,
    Head,
}

/// Which weight: of which part, of which block, weight or bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) part: Part,
    /// 0 for what lies outside the blocks.
    pub(crate) layer: usize,
    pub(crate) bias: bool,
}

/// A weight: a vector, or a matrix `[in, out]` or table `[rows, d_model]`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Weight<'a> {
    Vector(&'a Param<Tensor<1>>),
    Matrix(&'a Param<Tensor<2>>),
}

impl Weight<'_> {
    pub(crate) fn shape(&self) -> Vec<usize> {
        match self {
            Self::Vector(p) => p.shape().to_vec(),
            Self::Matrix(p) => p.shape().to_vec(),
        }
    }
}

/// Every weight with its place, in the order in which they are built.
pub(crate) fn weights(decoder: &Decoder) -> Vec<(Place, Weight<'_>)> {
    let mut list = List { layer: 0, all: Vec::new() };
    list.matrix(Part::Embedding, Some(&decoder.embedding));
    list.matrix(Part::Positions, decoder.positions.as_ref());
    for (layer, block) in decoder.blocks.iter().enumerate() {
        list.layer = layer;
        list.block(block);
    }
    list.layer = 0;
    list.norm(Part::FinalNorm, Some(&decoder.norm));
    list.matrix(Part::Head, decoder.head.as_ref());
    list.all
}

struct List<'a> {
    layer: usize,
    all: Vec<(Place, Weight<'a>)>,
}

impl<'a> List<'a> {
    fn add(&mut self, part: Part, bias: bool, weight: Option<Weight<'a>>) {
        let place = Place { part, layer: self.layer, bias };
        self.all.extend(weight.map(|weight| (place, weight)));
    }

    fn matrix(&mut self, part: Part, weight: Option<&'a Param<Tensor<2>>>) {
        self.add(part, false, weight.map(Weight::Matrix));
    }

    fn linear(&mut self, part: Part, linear: Option<&'a Linear>) {
        self.matrix(part, linear.map(|l| &l.weight));
        self.add(part, true, linear.and_then(|l| l.bias.as_ref()).map(Weight::Vector));
    }

    fn norm(&mut self, part: Part, norm: Option<&'a Norm>) {
        self.add(part, false, norm.map(|n| Weight::Vector(&n.weight)));
        self.add(part, true, norm.and_then(|n| n.bias.as_ref()).map(Weight::Vector));
    }

    fn block(&mut self, block: &'a Block) {
        self.norm(Part::AttentionNorm, Some(&block.attention_norm));
        self.linear(Part::Query, Some(&block.query));
        self.linear(Part::Key, Some(&block.key));
        self.linear(Part::Value, Some(&block.value));
        self.linear(Part::Output, Some(&block.output));
        self.norm(Part::QueryNorm, block.query_norm.as_ref());
        self.norm(Part::KeyNorm, block.key_norm.as_ref());
        self.norm(Part::FeedNorm, Some(&block.feed_norm));
        self.linear(Part::Gate, block.gate.as_ref());
        self.linear(Part::Up, Some(&block.up));
        self.linear(Part::Down, Some(&block.down));
    }
}
