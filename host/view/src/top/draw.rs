//! How a board is drawn: as many columns of members as fit, and what happened last below.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::board::{Board, Row, Standing};

/// How wide a member is: `(361, 1000015) no leader 12.3s`, and a gap.
const COLUMN: u16 = 34;

/// Draws `board`, with the members from row `first` on. Returns the greatest `first` of which something
/// is left to see below.
pub fn draw(frame: &mut Frame<'_>, board: &Board, first: usize) -> usize {
    let area = frame.area();
    // A quarter for what happened, so that on 24 lines there are 13 of members, and on 12 there are 4.
    let events = (area.height / 4).clamp(1, 10);
    let [title, leader, counts, members, rates, happened, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(1),
        Constraint::Length(events),
        Constraint::Length(1),
    ])
    .areas(area);
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let faint = Style::new().add_modifier(Modifier::DIM);
    line(frame, title, &board.title, faint);
    line(frame, leader, &board.leader, bold);
    line(frame, counts, &board.counts(), Style::new());
    let last = rows(frame, members, &board.rows, first);
    let sent = board
        .rates
        .iter()
        .map(|(kind, rate)| format!("{} {rate:.0}", short(kind, area.width)));
    let sent = sent.collect::<Vec<_>>().join("  ");
    line(frame, rates, &format!("messages/s: {sent}"), bold);
    let skip = board.events.len().saturating_sub(happened.height.into());
    let shown = board
        .events
        .iter()
        .skip(skip)
        .map(|event| Line::raw(event.as_str()));
    frame.render_widget(Paragraph::new(shown.collect::<Vec<_>>()), happened);
    line(frame, keys, board.keys, faint);
    last
}

/// Returns the name of a kind, or its first letter where all of them would not fit.
fn short(kind: &'static str, width: u16) -> &'static str {
    match kind {
        kind if width >= 70 => kind,
        "OK" => kind,
        kind => kind.get(..1).unwrap_or(kind),
    }
}

fn line(frame: &mut Frame<'_>, area: Rect, text: &str, style: Style) {
    frame.render_widget(Paragraph::new(text).style(style), area);
}

/// Draws members from the top to the bottom of each column.
fn rows(frame: &mut Frame<'_>, area: Rect, rows: &[Row], first: usize) -> usize {
    let high = usize::from(area.height).max(1);
    let columns = usize::from(area.width.checked_div(COLUMN).unwrap_or(1).max(1));
    let fit = high * columns;
    let last = rows.len().saturating_sub(fit);
    let shown = rows.iter().skip(first.min(last)).take(fit);
    for (place, row) in shown.enumerate() {
        let (column, line) = (place / high, place % high);
        let x = area.x + u16::try_from(column).unwrap_or(0) * COLUMN;
        let y = area.y + u16::try_from(line).unwrap_or(0);
        let area = Rect::new(x, y, COLUMN.min(area.right().saturating_sub(x)), 1);
        let age = row
            .age_s
            .map_or_else(String::new, |age| format!("{age:>7.1}s"));
        let text = Line::from(vec![
            Span::raw(format!("{:>14} ", row.who)),
            Span::styled(format!("{:<9}", row.standing.word()), style(row.standing)),
            Span::raw(age),
        ]);
        frame.render_widget(Paragraph::new(text), area);
    }
    last
}

fn style(standing: Standing) -> Style {
    match standing {
        Standing::Leads => Style::new().fg(Color::Green).add_modifier(Modifier::BOLD),
        Standing::Follows => Style::new().fg(Color::Cyan),
        Standing::Elects | Standing::Waits => Style::new().fg(Color::Yellow),
        Standing::Leaderless => Style::new(),
        Standing::Failed => Style::new().fg(Color::Red),
        Standing::Gone => Style::new().add_modifier(Modifier::DIM),
    }
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;

    fn board(members: usize) -> Board {
        let rows = (0..members).rev().map(|number| Row {
            who: format!("({}, {})", 60 + number, 1_000_001 + number),
            standing: match number {
                number if number + 1 == members => Standing::Leads,
                3 => Standing::Failed,
                _ => Standing::Follows,
            },
            age_s: Some(12.34),
        });
        Board {
            title: "log.jsonl, 14.203 s of 60.000 s".to_owned(),
            leader: "(89, 1000030) leads: no greater member is known".to_owned(),
            rows: rows.collect(),
            rates: vec![("ELECTION", 2.0), ("PROBE", 11.6)],
            events: (0..40).map(|number| format!("event {number}")).collect(),
            keys: "← → move  q quit",
        }
    }

    /// The lines of a terminal of this size.
    fn shown(width: u16, height: u16, board: &Board, first: usize) -> (Vec<String>, usize) {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("memory");
        let mut last = 0;
        let frame = terminal
            .draw(|frame| last = draw(frame, board, first))
            .expect("memory");
        let cells = frame.buffer.content();
        let lines = cells.chunks(width.into()).map(|line| {
            let line: String = line.iter().map(|cell| cell.symbol()).collect();
            line.trim_end().to_owned()
        });
        (lines.collect(), last)
    }

    #[test]
    fn thirty_members_and_their_news_fit_80_by_24_in_two_columns() {
        let (lines, last) = shown(80, 24, &board(30), 0);
        assert_eq!(lines[0], "log.jsonl, 14.203 s of 60.000 s");
        assert_eq!(lines[1], "(89, 1000030) leads: no greater member is known");
        assert_eq!(lines[2], "leads 1, follows 28, failed 1");
        assert_eq!(
            lines[3],
            " (89, 1000030) leads       12.3s   (76, 1000017) follows     12.3s"
        );
        assert_eq!(lines[16], "messages/s: ELECTION 2  PROBE 12");
        assert_eq!(lines[17], "event 34");
        assert_eq!(lines[22], "event 39");
        assert_eq!(lines[23], "← → move  q quit");
        // 13 lines of two: the last four are further down.
        assert_eq!(last, 4);
        let (lines, _) = shown(80, 24, &board(30), 4);
        assert!(
            lines[15].ends_with("(60, 1000001) follows     12.3s"),
            "{lines:?}"
        );
        assert!(
            lines
                .iter()
                .any(|line| line.contains("(63, 1000004) failed")),
            "{lines:?}"
        );
    }

    #[test]
    fn forty_by_twelve_has_one_column_and_all_else() {
        let (lines, last) = shown(40, 12, &board(30), 0);
        assert_eq!(lines[3], " (89, 1000030) leads       12.3s");
        assert_eq!(lines[7], "messages/s: E 2  P 12");
        assert_eq!(lines[10], "event 39");
        assert_eq!(lines[11], "← → move  q quit");
        assert_eq!(last, 26);
    }

    #[test]
    fn no_size_is_too_small() {
        for (width, height) in [(1, 1), (5, 2), (200, 3), (10, 60)] {
            shown(width, height, &board(5), 100);
        }
    }
}
