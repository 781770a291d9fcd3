//! Token lengths as they were seen in a real service; `data/azure_code_2023.txt` says whose.

use super::random::Random;

const TABLE: &str = include_str!("../../../data/azure_code_2023.txt");

/// Inverse distribution functions of prompt and answer lengths, in tokens.
#[derive(Debug)]
pub(super) struct Lengths {
    prompt: Vec<f64>,
    answer: Vec<f64>,
}

impl Lengths {
    pub(super) fn shipped() -> Self {
        let mut lengths = Self { prompt: Vec::new(), answer: Vec::new() };
        let mut column = &mut lengths.prompt;
        for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
            match line {
                "prompt" => {}
                "answer" => column = &mut lengths.answer,
                _ => column.extend(line.split(' ').filter_map(|word| word.parse::<f64>().ok())),
            }
        }
        lengths
    }

    pub(super) fn prompt(&self, random: &mut Random) -> u64 {
        draw(&self.prompt, random.unit())
    }

    pub(super) fn answer(&self, random: &mut Random) -> u64 {
        draw(&self.answer, random.unit())
    }
}

/// The quantile at `unit`, between the neighbours in the table.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "lengths and places are small and positive"
)]
fn draw(table: &[f64], unit: f64) -> u64 {
    let place = unit * table.len().saturating_sub(1) as f64;
    let (low, share) = (place as usize, place.fract());
    let at = |index: usize| table.get(index).or(table.last()).copied().unwrap_or(1.0);
    (at(low) + (at(low + 1) - at(low)) * share).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_those_of_the_original() {
        let lengths = Lengths::shipped();
        assert_eq!((lengths.prompt.len(), lengths.answer.len()), (201, 201));
        let mut random = Random::new(1, 1);
        let draws = 200_000_u32;
        let (mut prompt, mut answer) = (0, 0);
        for _ in 0..draws {
            prompt += lengths.prompt(&mut random);
            answer += lengths.answer(&mut random);
        }
        // Of the 8,819 requests: 2,048 and 27.9 tokens.
        let (prompt, answer) = (prompt / u64::from(draws), answer / u64::from(draws));
        assert!((2_000..2_100).contains(&prompt), "{prompt}");
        assert!((27..31).contains(&answer), "{answer}");
    }
}
