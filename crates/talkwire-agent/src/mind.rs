//! The mind: looks at the record of a session and says the next moves. The same record leads to the same moves.

mod gather;
mod measure;
mod remedy;
pub(crate) mod site;
mod verdict;

use crate::cause::Cause;
use crate::evidence::Evidence;
use crate::flow::{BadFlow, Flow, Library, Scope};
use crate::wording;
use site::Site;
use std::sync::{Arc, LazyLock};
use talkwire_core::Catalogue;
use talkwire_core::moves::{Brief, Move};
use talkwire_core::session::{Phase, SessionStatus, StepStatus, Verdict, VerdictKind};

static BUILTIN: LazyLock<Arc<Library>> = LazyLock::new(|| {
    // The files are part of the program, and a test loads them.
    Arc::new(Library::builtin().expect("the built-in flows load"))
});

/// The diagnosing mind.
#[derive(Debug, Clone)]
pub struct Mind {
    library: Arc<Library>,
}

/// What a move is worked out from.
pub(crate) struct View<'a, 'b> {
    pub library: &'a Library,
    pub flow: &'a Flow,
    pub brief: &'a Brief<'b>,
    pub site: Site<'a>,
}

impl Mind {
    /// The mind with the flows that are built in.
    pub fn builtin() -> Self {
        Self { library: Arc::clone(&BUILTIN) }
    }

    /// Whether a catalogue still allows all that the built-in flows ask for.
    ///
    /// # Errors
    /// The first place of a flow that it does not allow.
    pub fn fits(catalogue: &Catalogue) -> Result<(), BadFlow> {
        Library::builtin_with(catalogue).map(|_| ())
    }

    /// The mind with flows from files given as (name, text), for a catalogue that may be another than the built-in one.
    ///
    /// # Errors
    /// The first thing that is wrong in them, with file and place.
    pub fn load<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>, catalogue: &Catalogue) -> Result<Self, BadFlow> {
        Ok(Self { library: Arc::new(Library::load(files, catalogue)?) })
    }

    /// The next moves for a session. It looks at nothing but the record; asking twice gives the same answer, and a
    /// call whose key is in the record is not asked for again. Ask again after every change of the session or its
    /// change set, until nothing comes.
    pub fn next(&self, brief: &Brief<'_>) -> Vec<Move> {
        let session = brief.session;
        if session.status != SessionStatus::Active {
            return Vec::new();
        }
        let Some(flow) = self.library.flows.get(&session.intent.intent) else {
            if let Some(text) = wording::presence(&session.user_request, session.intent.language, brief.devices, true, brief.now_ms) {
                return vec![Move::Finish { text }];
            }
            let kind = session.intent.slots.get("other_kind").and_then(|kind| kind.as_str());
            return vec![Move::Finish { text: wording::answer_other(kind, session.intent.language, brief.devices) }];
        };
        let view = View { library: &self.library, flow, brief, site: Site::new(brief.devices) };
        let mut moves = view.summaries();
        let evidence = view.gathered();
        let mut scope = Scope::new(&evidence);
        match &session.verdict {
            Some(verdict) => moves.extend(view.after_verdict(verdict, &evidence, &mut scope)),
            None => {
                let (asked, done) = view.gather(&mut scope);
                moves.extend(asked);
                if done {
                    let verdict = view.verdict(&evidence, &mut scope);
                    moves.push(Move::Conclude(verdict.clone()));
                    moves.extend(view.after_verdict(&verdict, &evidence, &mut scope));
                }
            }
        }
        moves
    }

    /// The first sentence of an answer to a complaint.
    pub fn opening(&self, view: &talkwire_core::session::IntentView, devices: &[&talkwire_core::device::Device]) -> String {
        wording::opening_of(&self.library, view, devices)
    }

    /// Every cause that a verdict can name.
    pub fn causes(&self) -> &[Cause] {
        &self.library.causes
    }

    /// Every flow, by name.
    pub fn flows(&self) -> impl Iterator<Item = &Flow> {
        self.library.flows.values()
    }

    /// Everything that was loaded.
    pub fn library(&self) -> &Library {
        &self.library
    }
}

/// The library that is built in.
pub(crate) fn builtin_library() -> &'static Library {
    &BUILTIN
}

impl<'a> View<'a, '_> {
    pub fn language(&self) -> talkwire_core::Language {
        self.brief.session.intent.language
    }

    /// The evidence of the gathering; what is measured around a change is apart, so that the verdict stays what it was.
    fn gathered(&self) -> Evidence {
        self.evidence_of(Phase::Gather)
    }

    fn evidence_of(&self, phase: Phase) -> Evidence {
        let session = self.brief.session;
        Evidence::of(session.steps.iter().filter(|step| step.phase == phase), &self.site, &session.intent, &session.user_request)
    }

    fn summaries(&self) -> Vec<Move> {
        let session = self.brief.session;
        let ended = session.steps.iter().filter(|step| step.status == StepStatus::Completed && step.summary.is_none());
        ended.map(|step| Move::Summarise { key: step.key.clone(), summary: wording::summary(step, &self.site, &session.intent) }).collect()
    }

    fn after_verdict(&self, verdict: &Verdict, evidence: &Evidence, scope: &mut Scope) -> Vec<Move> {
        if let Some(set) = self.brief.changeset {
            return self.follow(set, verdict, evidence, scope);
        }
        if self.brief.session.changeset_id.is_some() {
            return Vec::new();
        }
        match verdict.kind {
            VerdictKind::Fault => self.change(verdict, evidence, scope),
            VerdictKind::Healthy | VerdictKind::Inconclusive => vec![Move::Finish { text: self.last_words(verdict) }],
        }
    }

    /// What is left to say when nothing is changed.
    pub fn last_words(&self, verdict: &Verdict) -> String {
        let advice = verdict.cause.as_ref().and_then(|word| self.library.cause(word)).map(|cause| cause.advice.text(self.language()).to_owned());
        match advice.filter(|advice| !advice.is_empty()) {
            Some(advice) => advice,
            None => wording::goodbye(verdict.kind, self.language()),
        }
    }
}
