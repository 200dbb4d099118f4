//! A log-linear model over words, short word sequences and concepts, trained from the example sentences at first use.

use super::{
    Intent,
    lexicon::{Hit, Lexicon},
    text::Word,
};

const CLASSES: usize = Intent::ALL.len();
/// Weight vectors; features are hashed onto them.
const BUCKETS: usize = 1 << 13;
const EPOCHS: usize = 6;
const RATE: f32 = 4.0;
const DECAY: f32 = 2e-5;
/// A sentence read with more certainty than this teaches nothing more.
const LEARNED: f32 = 0.95;

/// The features of one sentence, as places in the weight table.
pub(super) type Features = Vec<u32>;

/// Trained weights.
#[derive(Debug)]
pub(super) struct Model {
    weights: Vec<[f32; CLASSES]>,
}

impl Model {
    /// Trains on sentences with their intents. The order of visits is fixed, so the weights are the same every time.
    pub fn train(examples: &[(Features, Intent)]) -> Self {
        let mut model = Self { weights: vec![[0.0; CLASSES]; BUCKETS] };
        let mut share = [0usize; CLASSES];
        for (_, intent) in examples {
            share[intent.index()] += 1;
        }
        let stride = coprime(examples.len());
        for epoch in 0..EPOCHS {
            let rate = RATE / (1.0 + epoch as f32);
            for visit in 0..examples.len() {
                let (features, intent) = &examples[(visit * stride + epoch) % examples.len()];
                let fair = examples.len() as f32 / (CLASSES * share[intent.index()]) as f32;
                model.step(features, *intent, rate * fair.min(2.0));
            }
        }
        model
    }

    fn step(&mut self, features: &[u32], intent: Intent, rate: f32) {
        let scores = self.raw(features);
        let highest = scores.iter().copied().fold(f32::MIN, f32::max);
        let mut shares = scores.map(|s| (s - highest).exp());
        let sum: f32 = shares.iter().sum();
        if shares[intent.index()] > LEARNED * sum {
            return;
        }
        let each = rate * scale(features.len());
        for (class, share) in shares.iter_mut().enumerate() {
            let target = f32::from(u8::from(class == intent.index()));
            *share = each * (target - *share / sum);
        }
        for &feature in features {
            for (weight, change) in self.weights[feature as usize].iter_mut().zip(shares) {
                *weight += change - DECAY * rate * *weight;
            }
        }
    }

    fn raw(&self, features: &[u32]) -> [f32; CLASSES] {
        let mut scores = [0.0; CLASSES];
        for &feature in features {
            for (score, weight) in scores.iter_mut().zip(&self.weights[feature as usize]) {
                *score += weight;
            }
        }
        scores.map(|s| s * scale(features.len()))
    }

    /// How much the words speak for each intent, as logits.
    pub fn scores(&self, features: &[u32]) -> [f64; CLASSES] {
        self.raw(features).map(f64::from)
    }
}

fn scale(features: usize) -> f32 {
    1.0 / (features.max(1) as f32).sqrt()
}

/// A stride that visits every example once.
fn coprime(count: usize) -> usize {
    let gcd = |mut a: usize, mut b: usize| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    (count / 3 + 1..).find(|&s| gcd(s, count.max(1)) == 1).unwrap_or(1)
}

/// Words, pairs and triples of words, concepts and pairs of concepts.
pub(super) fn features(words: &[Word], hits: &[Hit], lexicon: &Lexicon) -> Features {
    let token = |w: &Word| {
        if w.number.is_some() { hash(1, b"#") } else { hash(1, w.text.as_bytes()) }
    };
    let tokens: Vec<u64> = words.iter().map(token).collect();
    let mut found: Vec<u64> = tokens.clone();
    found.extend(tokens.windows(2).map(|w| mix(&[2, w[0], w[1]])));
    found.extend(tokens.windows(3).map(|w| mix(&[3, w[0], w[1], w[2]])));
    let mut concepts: Vec<u64> = hits.iter().map(|h| mix(&[4, hash(4, lexicon.name(h.concept).as_bytes()), u64::from(h.negated)])).collect();
    concepts.sort_unstable();
    concepts.dedup();
    for (at, &a) in concepts.iter().enumerate().take(16) {
        found.extend(concepts[at + 1..].iter().take(16).map(|&b| mix(&[5, a, b])));
    }
    found.extend(concepts);
    let mut places: Features = found.into_iter().map(|f| (f % BUCKETS as u64) as u32).collect();
    places.sort_unstable();
    places.dedup();
    places
}

/// FNV-1a, which is the same on every machine and in every version.
fn hash(seed: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325 ^ seed, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

fn mix(parts: &[u64]) -> u64 {
    let h = parts.iter().fold(0x9e37_79b9_7f4a_7c15, |h: u64, &p| (h ^ p).wrapping_mul(0xff51_afd7_ed55_8ccd).rotate_left(29));
    h ^ (h >> 32)
}
