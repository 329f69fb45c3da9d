//! Many that fail alike say so once, and one of them tries again for all.
//!
//! A Consul without a leader, a token that has expired or a limit of requests fails every watch with the
//! same words. A reader of the log wants them once, and the last of a dozen pauses of a minute must not
//! decide when the end of the trouble is noticed.

use super::agent::Locked;
use std::{collections::BTreeMap, fmt, sync::Arc};

/// Ways of failing at a time; those beyond are said by each that fails.
const MOST: usize = 64;

/// Who fails now, by the words of the failure.
#[derive(Debug, Default)]
pub(crate) struct Chorus(Locked<BTreeMap<Box<str>, Voices>>);

#[derive(Debug, Default)]
struct Voices {
    now: usize,
    most: usize,
    is_led: bool,
}

/// One that fails. It leaves when it is dropped.
pub(crate) struct Voice {
    chorus: Arc<Chorus>,
    words: Box<str>,
    leads: bool,
    left: bool,
}

impl Chorus {
    /// One more fails with these words. Says whether it is the first, who is heard.
    pub(crate) fn join(self: &Arc<Self>, words: &str) -> (Voice, bool) {
        let mut all = self.0.lock();
        let counted = all.len() < MOST || all.contains_key(words);
        let first = if counted {
            let voices = all.entry(words.into()).or_default();
            voices.now += 1;
            voices.most = voices.most.max(voices.now);
            voices.now == 1
        } else {
            true
        };
        (Voice { chorus: Arc::clone(self), words: words.into(), leads: false, left: !counted }, first)
    }
}

impl Voice {
    /// What it says.
    pub(crate) fn words(&self) -> &str {
        &self.words
    }

    /// Whether it is the one of several that tries for all. It is from now on, if nobody is.
    pub(crate) fn leads(&mut self) -> bool {
        let mut all = self.chorus.0.lock();
        let Some(voices) = all.get_mut(&*self.words).filter(|_| !self.left) else { return false };
        if !voices.is_led {
            voices.is_led = true;
            self.leads = true;
        }
        self.leads && voices.now > 1
    }

    /// It fails no more.
    pub(crate) fn end(mut self) -> End {
        self.leave()
    }

    fn leave(&mut self) -> End {
        if std::mem::replace(&mut self.left, true) {
            return End::Last(1);
        }
        let mut all = self.chorus.0.lock();
        let Some(voices) = all.get_mut(&*self.words) else { return End::Last(1) };
        voices.now -= 1;
        if self.leads {
            voices.is_led = false;
        }
        if voices.now > 0 {
            return End::Others { led: self.leads };
        }
        let most = voices.most;
        all.remove(&*self.words);
        End::Last(most)
    }
}

impl Drop for Voice {
    fn drop(&mut self) {
        self.leave();
    }
}

impl fmt::Debug for Voice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Voice")
            .field("words", &self.words)
            .field("leads", &self.leads)
            .finish_non_exhaustive()
    }
}

/// What is left when one fails no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Others still fail. `led`: this one tried for them.
    Others { led: bool },
    /// It was the last, of so many at a time.
    Last(usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_heard_and_the_last_says_that_it_is_over() {
        let chorus = Arc::new(Chorus::default());
        let (one, first) = chorus.join("500: No cluster leader");
        let (two, second) = chorus.join("500: No cluster leader");
        let (other, another) = chorus.join("403: Permission denied");
        assert!(first && !second && another, "other words are heard");
        assert_eq!(one.end(), End::Others { led: false });
        assert_eq!(two.end(), End::Last(2));
        assert_eq!(other.end(), End::Last(1));
        assert!(chorus.join("500: No cluster leader").1, "the next time it is heard again");
    }

    #[test]
    fn one_of_several_leads_and_another_when_it_is_gone() {
        let chorus = Arc::new(Chorus::default());
        let (mut one, _) = chorus.join("500");
        assert!(!one.leads(), "alone it leads nobody");
        let (mut two, _) = chorus.join("500");
        assert!(one.leads() && !two.leads());
        assert_eq!(one.end(), End::Others { led: true });
        let (three, _) = chorus.join("500");
        assert!(two.leads());
        drop(two);
        assert_eq!(three.end(), End::Last(2));
    }

    #[test]
    fn beyond_the_bound_everybody_is_heard() {
        let chorus = Arc::new(Chorus::default());
        let voices: Vec<_> = (0..MOST).map(|words| chorus.join(&words.to_string()).0).collect();
        let (mut extra, heard) = chorus.join("more");
        assert!(heard && chorus.join("more").1 && !extra.leads());
        assert_eq!(extra.end(), End::Last(1));
        drop(voices);
        assert!(chorus.0.lock().is_empty());
    }
}
