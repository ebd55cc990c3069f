//! The uploads of the matrix: what is uploaded, how, and over which hop.

use std::fmt;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use gcsd_client::{Aborted, ReliableUpload, ReliableWriter};
use gcsd_net::SharedConnector;
use tokio::time::timeout;

use super::conversation::{Part, Segment, of_frames, of_http, of_records};
use crate::support::daemon::pattern;
use crate::support::stage::{
    ENDLESS, Ended, HANGS, Hop, Stage, complete, faulty, impatient, roomy, sized, wait,
};
use crate::support::tap::{Recorder, Tap};

const K: usize = 256 * 1024;

/// The name of the object.
pub(super) const NAME: &str = "matrix/object.bin";

/// How the upload goes when nothing is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Course {
    /// A source that can be read again.
    Source,
    /// A producer that says the end with the last byte.
    Producer,
    /// A producer that says the end when everything is committed.
    LateEnd,
    /// A producer that aborts when everything is committed.
    Abort,
}

/// Something that has gone wrong before: the conversation that follows is cut again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    Nothing,
    /// The last reply was lost.
    LostReply,
    /// The connection was closed in the middle of a body.
    CutBody,
}

/// One upload over one hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scenario {
    pub(super) hop: Hop,
    pub(super) size: usize,
    /// GCS is told the size at the start.
    pub(super) declared: bool,
    pub(super) course: Course,
    pub(super) before: Before,
    /// GCS is reached by https: what goes wrong strikes records.
    pub(super) tls: bool,
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            hop,
            size,
            declared,
            course,
            before,
            tls,
        } = self;
        let hop = hop.name();
        write!(
            f,
            "{hop}, {size} bytes, declared {declared}, {course:?}, before {before:?}, tls {tls}"
        )
    }
}

/// The sizes of the objects.
pub(super) const SIZES: [usize; 6] = [0, 1, K - 1, K, K + 1, 5 << 20];

/// Every upload of the matrix.
pub(super) fn all() -> Vec<Scenario> {
    let mut all = Vec::new();
    for hop in Hop::ALL {
        let mut add = |size, declared, course, before| {
            all.push(Scenario {
                hop,
                size,
                declared,
                course,
                before,
                tls: false,
            });
        };
        for size in SIZES {
            for declared in [false, true] {
                for course in [Course::Producer, Course::Source] {
                    add(size, declared, course, Before::Nothing);
                }
            }
        }
        add(K, false, Course::LateEnd, Before::Nothing);
        add(2 * K + 5, false, Course::Abort, Before::Nothing);
        for course in [Course::Producer, Course::Source] {
            add(K + 1, false, course, Before::LostReply);
            add(K + 1, false, course, Before::CutBody);
        }
        add(2 * K + 5, false, Course::Abort, Before::LostReply);
    }
    for hop in [Hop::DaemonToGcs, Hop::Direct] {
        for (size, course) in [(1, Course::Producer), (K + 1, Course::Source)] {
            all.push(Scenario {
                hop,
                size,
                declared: false,
                course,
                before: Before::Nothing,
                tls: true,
            });
        }
    }
    all
}

impl Scenario {
    pub(super) fn bytes(&self) -> Bytes {
        // Made once: the matrix has thousands of uploads.
        static ALL: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(pattern(5 << 20)));
        ALL.slice(..self.size)
    }

    /// The plan of what goes wrong before.
    pub(super) async fn base(&self) -> String {
        if self.before == Before::Nothing {
            return String::new();
        }
        let clean = Self {
            before: Before::Nothing,
            ..*self
        };
        let segments = Box::pin(clean.record()).await;
        let find = |read: bool, part| {
            let is = |segment: &&Segment| (segment.direction == gcsd_fault::Direction::Read) == read;
            let mut of = segments.iter().filter(is).filter(|segment| segment.part == part);
            of.next_back().expect("there is one").clone()
        };
        match self.before {
            Before::Nothing => String::new(),
            Before::LostReply => format!("close in read {} on 0", find(true, Part::Head).from),
            Before::CutBody => {
                let body = find(false, Part::Body);
                format!("close after write {} on 0", (body.from + body.end) / 2)
            }
        }
    }

    /// What is said when nothing else goes wrong.
    pub(super) async fn record(&self) -> Vec<Segment> {
        let recorder = Arc::new(Recorder::default());
        let base = match self.base().await {
            none if none.is_empty() => "off".to_owned(),
            base => base,
        };
        let tap: SharedConnector = Arc::new(Tap::new(faulty(&base), recorder.clone()));
        let stage = Stage::at(self.hop, tap, self.tls, ENDLESS).await;
        let played = timeout(HANGS, self.play(&stage, &self.bytes())).await;
        let ended = played.unwrap_or_else(|_| panic!("{self}: it never ends"));
        let ended_well = ended.result.is_ok() || ended.aborted == Some(Aborted::Cancelled);
        assert!(ended_well, "{self}: {ended:?}");
        let recorded = recorder.take();
        match self.hop {
            _ if self.tls => of_records(&recorded),
            Hop::ToDaemon => of_frames(&recorded),
            Hop::DaemonToGcs | Hop::Direct => of_http(&recorded),
        }
    }

    /// Uploads `bytes`.
    pub(super) async fn play(&self, stage: &Stage, bytes: &Bytes) -> Ended {
        let object = sized(NAME, self.declared.then_some(self.size));
        let open = stage.over(self.hop, object);
        if self.course == Course::Source {
            return wait(ReliableUpload::start(open, bytes.clone(), impatient(1))).await;
        }
        let mut writer = ReliableWriter::start(open, &roomy(1)).expect("good options");
        for at in (0..bytes.len()).step_by(100_000) {
            let piece = bytes.slice(at..bytes.len().min(at + 100_000));
            // Why it fails is told at the end.
            if writer.write_bytes(piece).await.is_err() {
                break;
            }
        }
        if self.course == Course::Producer {
            return complete(writer).await;
        }
        let most = (bytes.len() - bytes.len() % K) as u64;
        let mut reports = writer.reports();
        // An error means that the upload has failed, which is told at the end.
        let _ = reports.wait_for(|report| report.committed >= most).await;
        if self.course == Course::LateEnd {
            return complete(writer).await;
        }
        let report = reports.borrow().clone();
        Ended::aborted(writer.abort().await, report)
    }
}
