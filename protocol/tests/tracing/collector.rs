//! A subscriber that keeps every event as a line of text.

use std::fmt::Write;
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// What was told to it.
#[derive(Clone, Default)]
pub(crate) struct Collector(Arc<Mutex<Told>>);

#[derive(Default)]
struct Told {
    /// Name and fields of each span, with those that it is in before it.
    spans: Vec<String>,
    /// Those that are entered, and by which thread.
    entered: Vec<(ThreadId, Id)>,
    lines: Vec<String>,
}

impl Collector {
    /// The lines since the last call: `LEVEL target span{field=value}: message field=value`.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().lines)
    }
}

impl Told {
    fn name(&self, id: Option<&Id>) -> String {
        id.map_or(String::new(), |id| self.spans[id.into_u64() as usize - 1].clone())
    }

    /// The span that something is in, by its own word or because that is entered.
    fn parent(&self, explicit: Option<&Id>, contextual: bool) -> String {
        let here = thread::current().id();
        let entered = self.entered.iter().rev().find(|(thread, _)| contextual && *thread == here);
        self.name(explicit.or(entered.map(|(_, id)| id)))
    }
}

impl Subscriber for Collector {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut told = self.0.lock().unwrap();
        let mut line = told.parent(span.parent(), span.is_contextual());
        let mut fields = Fields::default();
        span.record(&mut fields);
        let _ = write!(line, "{}{{{}}}:", span.metadata().name(), fields.rest.trim_start());
        told.spans.push(line);
        Id::from_u64(told.spans.len() as u64)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut told = self.0.lock().unwrap();
        let span = told.parent(event.parent(), event.is_contextual());
        let mut fields = Fields::default();
        event.record(&mut fields);
        let (meta, Fields { message, rest }) = (event.metadata(), fields);
        let line = format!("{} {} {span} {message}{rest}", meta.level(), meta.target());
        told.lines.push(line);
    }

    fn enter(&self, id: &Id) {
        self.0.lock().unwrap().entered.push((thread::current().id(), id.clone()));
    }

    fn exit(&self, id: &Id) {
        let left = (thread::current().id(), id.clone());
        let entered = &mut self.0.lock().unwrap().entered;
        let at = entered.iter().rposition(|it| *it == left);
        entered.remove(at.expect("it was entered by this thread"));
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    rest: String,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.rest, " {name}={value:?}"),
        };
    }
}
