//! Where attempts go: the request's URL, and what redirects make of it.

use crate::http::Hop;
use crate::url::Url;

#[derive(Debug)]
pub(super) struct Route {
    /// Where an attempt starts: at the request's URL, or where that has moved for good.
    base: Hop,
    hop: Hop,
    /// How many led from `base` to `hop`.
    redirects: u8,
    /// Whether all of them hold for ever.
    moved: bool,
}

impl Route {
    pub(super) fn new(url: &Url) -> Self {
        let base = Hop::start(url.clone());
        Self { hop: base.clone(), base, redirects: 0, moved: true }
    }

    /// Where the attempt has come to.
    pub(super) const fn hop(&self) -> &Hop {
        &self.hop
    }

    pub(super) const fn redirects(&self) -> u8 {
        self.redirects
    }

    /// What is permanent behind a redirect that is not does not hold for the first URL.
    pub(super) fn follow(&mut self, to: Hop, for_ever: bool) {
        self.redirects += 1;
        self.moved &= for_ever;
        if self.moved {
            self.base = to.clone();
        }
        self.hop = to;
    }

    /// Back to the start, for another attempt.
    pub(super) fn reset(&mut self) {
        self.hop = self.base.clone();
        self.redirects = 0;
        self.moved = true;
    }
}
