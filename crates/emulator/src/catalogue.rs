//! The emulator's own table of models, transcribed from upstream.md §8.5.

use crate::model::{Format, Model, Style};
use crate::price::{Price, Rate, Tier};

const M: u64 = 1_000_000;

struct Row {
    id: &'static str,
    format: Format,
    price: Price,
    monthly: Option<(u32, u32)>,
    size: (u64, u64),
}

const fn row(
    id: &'static str,
    format: Format,
    price: Price,
    monthly: Option<(u32, u32)>,
    size: (u64, u64),
) -> Row {
    Row { id, format, price, monthly, size }
}

const fn flat(input: f64, output: f64, cached: f64) -> Price {
    Price::flat(Rate::new(input, output, cached))
}

const fn with_write(input: f64, output: f64, cached: f64, write: f64) -> Price {
    Price::flat(Rate::new(input, output, cached).write(write))
}

const fn tier(mut price: Price, above: u64, rate: Rate) -> Price {
    price.tier = Some(Tier { above, rate });
    price
}

/// Off-peak base, peak twice that (DeepSeek).
const fn peak(base: Rate) -> Price {
    let peak = Rate::new(base.input * 2.0, base.output * 2.0, base.cached * 2.0);
    Price { peak: Some(peak), ..Price::flat(base) }
}

const DEEPSEEK_FLASH: Price = peak(Rate::new(0.15, 0.60, 0.003));
const MIMO_FLASH: Price = flat(0.14, 0.28, 0.0028);
const MIMO_PRO: Price = flat(0.435, 0.87, 0.003_625);
const GROK: Price = tier(flat(2.0, 6.0, 0.50), 200_000, Rate::new(4.0, 12.0, 1.0));
const MUSE: Price = flat(0.10, 0.20, 0.002);
const FREE: Price = flat(0.0, 0.0, 0.0);

const ROWS: &[Row] = &{
    use Format::{Chat, Google, Messages, Responses};
    [
        row("glm-5.3-flash", Chat, flat(0.15, 0.50, 0.03), Some((60, 180)), (M, 131_072)),
        row("glm-5.3", Chat, flat(1.40, 4.40, 0.26), Some((15, 120)), (M, 131_072)),
        row("glm-5.2", Chat, flat(1.40, 4.40, 0.26), Some((60, 180)), (M, 131_072)),
        row("kimi-k3.1-pro", Chat, with_write(2.0, 10.0, 0.20, 2.0), None, (1_048_576, 131_072)),
        row("kimi-k3", Chat, flat(3.0, 15.0, 0.30), Some((15, 60)), (1_048_576, 131_072)),
        row("kimi-k2.7-code", Chat, flat(0.95, 4.0, 0.19), Some((60, 180)), (262_144, 262_144)),
        row("longcat-2.0", Chat, flat(0.30, 1.20, 0.006), Some((60, 240)), (M, 131_072)),
        row("deepseek-v4.1-flash", Chat, DEEPSEEK_FLASH, Some((60, 120)), (M, 384_000)),
        row(
            "deepseek-v4-pro",
            Chat,
            peak(Rate::new(0.66, 1.98, 0.022)),
            Some((15, 60)),
            (M, 384_000),
        ),
        row("deepseek-v4-flash", Chat, DEEPSEEK_FLASH, Some((30, 120)), (M, 384_000)),
        row("deepseek-v4-flash-vision-exp", Chat, DEEPSEEK_FLASH, Some((15, 60)), (M, 384_000)),
        row("mimo-v2.6-flash", Chat, MIMO_FLASH, Some((60, 120)), (1_050_000, 131_072)),
        row("mimo-v2.5", Chat, MIMO_FLASH, Some((60, 120)), (M, 128_000)),
        row("mimo-v2.6-pro", Chat, MIMO_PRO, Some((15, 60)), (1_050_000, 131_072)),
        row("mimo-v2.5-pro", Chat, MIMO_PRO, Some((15, 60)), (1_050_000, 128_000)),
        row("minimax-m3.1-flash", Chat, flat(0.15, 0.60, 0.015), None, (M, 512_000)),
        row(
            "minimax-m3",
            Messages,
            tier(flat(0.30, 1.20, 0.06), 512_000, Rate::new(0.60, 2.40, 0.12)),
            Some((60, 180)),
            (M, 131_072),
        ),
        row(
            "minimax-m2.7",
            Messages,
            with_write(0.30, 1.20, 0.06, 0.375),
            Some((60, 240)),
            (204_800, 131_072),
        ),
        row("qwen3.8-max", Messages, with_write(2.0, 6.0, 0.25, 2.5), Some((15, 60)), (M, 131_072)),
        row(
            "qwen3.8-flash",
            Messages,
            with_write(0.15, 0.47, 0.016, 0.20),
            Some((30, 90)),
            (M, 131_072),
        ),
        row(
            "qwen3.7-plus",
            Messages,
            tier(with_write(0.40, 1.60, 0.04, 0.50), 256_000, Rate::new(1.2, 4.8, 0.12).write(1.5)),
            Some((60, 180)),
            (M, 65_536),
        ),
        row(
            "claude-haiku-5-5",
            Messages,
            tier(
                with_write(0.10, 0.50, 0.01, 0.125),
                100_000,
                Rate::new(0.5, 2.5, 0.05).write(0.625),
            ),
            Some((15, 60)),
            (M, 128_000),
        ),
        row("hy3", Chat, flat(0.14, 0.58, 0.035), Some((60, 240)), (256_000, 128_000)),
        row("hy4-preview", Chat, flat(0.834, 2.501, 0.042), Some((30, 120)), (1_020_000, 64_000)),
        row("step-5-preview", Chat, flat(1.0, 2.7, 0.10), None, (M, 65_536)),
        row("grok-4.7", Responses, GROK, Some((15, 60)), (500_000, 500_000)),
        row("grok-4.6", Responses, GROK, Some((15, 60)), (500_000, 500_000)),
        row(
            "gpt-6-luna",
            Responses,
            tier(
                with_write(0.10, 0.50, 0.01, 0.125),
                272_000,
                Rate::new(0.2, 0.75, 0.02).write(0.25),
            ),
            Some((15, 60)),
            (1_050_000, 128_000),
        ),
        row(
            "gpt-5.6-luna",
            Responses,
            tier(with_write(0.20, 1.20, 0.02, 0.25), 272_000, Rate::new(0.4, 1.8, 0.04).write(0.5)),
            Some((15, 60)),
            (1_050_000, 128_000),
        ),
        row("muse-spark-1.3-contributor", Responses, MUSE, Some((60, 120)), (1_048_576, 131_072)),
        row("muse-spark-1.2-contributor", Responses, MUSE, Some((60, 120)), (1_048_576, 131_072)),
        row("gemini-4-argon", Google, flat(2.0, 10.0, 0.10), None, (1_048_576, 65_536)),
        row("longcat-2.5-free", Chat, FREE, None, (M, 131_072)),
        row("beam-free", Chat, FREE, None, (M, 131_072)),
        row("iceman-contributor-free", Chat, FREE, None, (M, 131_072)),
        row("space-bunny-free", Chat, FREE, None, (M, 131_072)),
        row("step-5-preview-free", Chat, FREE, None, (M, 65_536)),
    ]
};

const ALIASES: &[(&str, &str)] = &[
    ("deepseek-v4.1-flash", "deepseek-flash"),
    ("hy4-preview", "hy4"),
    ("longcat-2.5-free", "longcat-2.5-preview-free"),
    ("space-bunny-free", "space-bunny"),
];

/// All models, in the table's order.
pub fn models() -> Vec<Model> {
    ROWS.iter().map(model).collect()
}

fn model(row: &Row) -> Model {
    let id = row.id;
    let alibaba = id.starts_with("qwen");
    let aliases = ALIASES.iter().filter(|(of, _)| *of == id).map(|(_, alias)| (*alias).to_owned());
    let mut formats = vec![row.format];
    // Converted by the server since 2026-07-19 (upstream.md §1.1).
    if matches!(id, "glm-5.3" | "glm-5.3-flash") {
        formats.push(Format::Responses);
    }
    Model {
        id: id.to_owned(),
        aliases: aliases.collect(),
        format_entries: formats.len() > 1,
        formats,
        provider: if alibaba { "Alibaba" } else { "Console Go" }.to_owned(),
        price: row.price,
        go_monthly: row.monthly.map(|(go, _)| go),
        plus_monthly: row.monthly.map(|(_, plus)| plus),
        context: row.size.0,
        max_output: row.size.1,
        anonymous: row.price.is_free(),
        needs_training: id.contains("-contributor"),
        needs_cn: id.starts_with("deepseek"),
        blocked_countries: if id.starts_with("muse-spark") {
            vec!["IT".to_owned(), "KP".to_owned()]
        } else {
            Vec::new()
        },
        max_body: alibaba.then_some(6_291_456),
        style: Style {
            space: !alibaba,
            moonshot_cached: id.starts_with("kimi"),
            null_usage: id.starts_with("deepseek"),
            ..Style::default()
        },
        ..Model::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::price::Money;
    use crate::quota::Plan;

    #[test]
    fn ids_and_aliases_are_unique() {
        let mut names: Vec<String> =
            models().into_iter().flat_map(|m| [vec![m.id], m.aliases].concat()).collect();
        let before = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), before);
        assert_eq!(Model::find("deepseek-flash").unwrap().id, "deepseek-v4.1-flash");
    }

    #[test]
    fn multipliers() {
        let dollar = Money::dollars(1.0);
        let cost = |id: &str, plan| Model::find(id).unwrap().quota_cost(dollar, plan).to_dollars();
        assert!((cost("kimi-k3", Plan::Go) - 4.0).abs() < 1e-9);
        assert!((cost("qwen3.8-flash", Plan::Go) - 2.0).abs() < 1e-9);
        assert!((cost("glm-5.2", Plan::Go) - 1.0).abs() < 1e-9);
        assert!((cost("hy3", Plan::GoPlus) - 1.0).abs() < 1e-9);
        assert!((cost("kimi-k3", Plan::GoPlus) - 4.0).abs() < 1e-9);
    }
}
