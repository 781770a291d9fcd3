//! The simplex method for programmes of one shape: maximise the sum of the variables, none
//! negative, such that the sums of some sets of them are bounded.

/// Smaller differences are rounding.
const NOTHING: f64 = 1e-9;

/// The maximum of Σ x over `variables` variables, where for each row the sum of the named
/// variables is at most its (non-negative) bound. Every variable must be in some row.
pub(super) fn maximum(variables: usize, rows: &[(Vec<usize>, f64)]) -> f64 {
    let width = variables + rows.len() + 1;
    // One line per row: the variables, the slacks, the right-hand side; nothing used is feasible.
    let mut table: Vec<Vec<f64>> = Vec::with_capacity(rows.len());
    for (index, (members, bound)) in rows.iter().enumerate() {
        let mut line = vec![0.0; width];
        for member in members {
            set(&mut line, *member, 1.0);
        }
        set(&mut line, variables + index, 1.0);
        set(&mut line, width - 1, bound.max(0.0));
        table.push(line);
    }
    let mut gain = vec![0.0; width];
    for place in gain.iter_mut().take(variables) {
        *place = 1.0;
    }
    // Bland's rule (the first column that gains, the first row among equals) cannot cycle.
    while let Some(column) = gain.iter().take(width - 1).position(|gain| *gain > NOTHING) {
        let Some(row) = leaving(&table, column) else { break };
        pivot(&mut table, &mut gain, row, column);
    }
    -gain.last().copied().unwrap_or_default()
}

/// The row that is exhausted first as the column's variable grows.
fn leaving(table: &[Vec<f64>], column: usize) -> Option<usize> {
    let mut best: Option<(f64, usize)> = None;
    for (index, line) in table.iter().enumerate() {
        let slope = line.get(column).copied().unwrap_or_default();
        if slope <= NOTHING {
            continue;
        }
        let ratio = line.last().copied().unwrap_or_default() / slope;
        if best.is_none_or(|(least, _)| ratio < least - NOTHING) {
            best = Some((ratio, index));
        }
    }
    best.map(|(_, index)| index)
}

fn pivot(table: &mut [Vec<f64>], gain: &mut [f64], row: usize, column: usize) {
    let Some(line) = table.get_mut(row) else { return };
    let slope = line.get(column).copied().unwrap_or(1.0);
    for value in line.iter_mut() {
        *value /= slope;
    }
    let line = line.clone();
    for (index, other) in table.iter_mut().enumerate() {
        if index != row {
            subtract(other, &line, column);
        }
    }
    subtract(gain, &line, column);
}

fn subtract(from: &mut [f64], line: &[f64], column: usize) {
    let factor = from.get(column).copied().unwrap_or_default();
    if factor != 0.0 {
        for (value, other) in from.iter_mut().zip(line) {
            *value -= factor * other;
        }
    }
}

fn set(line: &mut [f64], place: usize, value: f64) {
    if let Some(slot) = line.get_mut(place) {
        *slot = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(variables: usize, rows: &[(&[usize], f64)], want: f64) {
        let rows: Vec<_> = rows.iter().map(|(set, bound)| (set.to_vec(), *bound)).collect();
        let got = maximum(variables, &rows);
        assert!((got - want).abs() < 1e-9, "{rows:?}: {got}, not {want}");
    }

    #[test]
    fn known_optima() {
        check(1, &[(&[0], 3.0)], 3.0);
        check(2, &[(&[0, 1], 3.0), (&[0], 1.0)], 3.0);
        check(2, &[(&[0], 1.0), (&[1], 2.0), (&[0, 1], 10.0)], 3.0);
        // The greedy first choice must be taken back.
        check(3, &[(&[0, 1], 1.0), (&[0, 2], 1.0)], 2.0);
        // The odd cycle has a fractional optimum.
        check(3, &[(&[0, 1], 1.0), (&[1, 2], 1.0), (&[0, 2], 1.0)], 1.5);
        check(2, &[(&[0, 1], 0.0)], 0.0);
    }
}
