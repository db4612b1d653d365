//! Without the feature `deflate` nothing is ever agreed on.

use super::Invalid;
use crate::ws::Role;
use crate::ws::handshake::{Extension, ExtensionError};
use alloc::string::String;

pub(in crate::ws) const NAME: &str = "permessage-deflate";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ws) enum DeflateConfig {}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ws) enum Agreed {}

#[derive(Debug)]
pub(in crate::ws) enum Deflater {}

#[derive(Debug)]
pub(in crate::ws) enum Inflater {}

impl DeflateConfig {
    pub(in crate::ws) fn offer(self) -> String {
        match self {}
    }

    pub(in crate::ws) fn accept(self, _offer: Extension<'_>) -> Option<(Agreed, String)> {
        match self {}
    }

    pub(in crate::ws) fn check(self, _answer: Extension<'_>) -> Result<Agreed, ExtensionError> {
        match self {}
    }
}

impl Agreed {
    pub(in crate::ws) fn deflater(self, _role: Role) -> Deflater {
        match self {}
    }

    pub(in crate::ws) fn inflater(self, _role: Role) -> Inflater {
        match self {}
    }
}

impl Deflater {
    pub(in crate::ws) fn is_worth(&self, _len: usize) -> bool {
        match *self {}
    }

    pub(in crate::ws) fn deflate(&mut self, _payload: &[u8], _ends: bool) -> &[u8] {
        match *self {}
    }

    pub(in crate::ws) fn shrink(&mut self) {
        match *self {}
    }

    pub(in crate::ws) fn heap_size(&self) -> usize {
        match *self {}
    }
}

impl Inflater {
    pub(in crate::ws) fn inflate(
        &mut self,
        _input: &[u8],
        _output: &mut [u8],
    ) -> Result<(usize, usize), Invalid> {
        match *self {}
    }

    pub(in crate::ws) fn has_more(&self) -> bool {
        match *self {}
    }

    pub(in crate::ws) fn finish(&mut self, _output: &mut [u8]) -> Result<(usize, bool), Invalid> {
        match *self {}
    }

    pub(in crate::ws) fn shrink(&mut self) {
        match *self {}
    }

    pub(in crate::ws) fn heap_size(&self) -> usize {
        match *self {}
    }
}
