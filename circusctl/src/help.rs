//! Help texts, written from the command table. Pure.

use circus_common::protocol::{
    commands::{CommandOption, CommandSpec, Sets, TABLE},
    docs::usage_line,
};

use crate::cli::option_lines;

/// The first line of everything that is about usage.
pub const USAGE: &str = "usage: circusctl [options] command [args]";

/// The column in which the meanings begin.
const MEANING: usize = 24;
/// How wide running text is.
const WIDTH: usize = 80;

/// `circusctl --help`.
pub fn overview() -> String {
    let mut lines =
        vec![USAGE.to_owned(), String::new(), "Controls a Circus daemon".to_owned(), String::new()];
    lines.push("Commands:".to_owned());
    for spec in TABLE {
        entry(spec.name, spec.summary, &mut lines);
    }
    lines.push(String::new());
    lines.push("options:".to_owned());
    for (option, meaning) in option_lines() {
        entry(&option, &meaning, &mut lines);
    }
    lines.push(String::new());
    lines.push(
        "Without a command a shell is started. `circusctl --help COMMAND` tells more about a command,"
            .to_owned(),
    );
    lines.push("`circusctl completions bash|zsh|fish` prints a completion script.".to_owned());
    lines.join("\n")
}

/// `circusctl COMMAND --help`.
pub fn usage(spec: &CommandSpec) -> String {
    let mut lines = vec![format!("usage: circusctl [options] {}", usage_line(spec)), String::new()];
    lines.push("options:".to_owned());
    entry("-h, --help", "show this help message and exit", &mut lines);
    for option in spec.usage.options {
        entry(&option_text(option), option.doc, &mut lines);
    }
    if let Some(remark) = remark(spec) {
        lines.push(String::new());
        wrap(remark, "", &mut lines);
    }
    lines.join("\n")
}

/// What an option before the command means with this one alone.
fn remark(spec: &CommandSpec) -> Option<&'static str> {
    (spec.name == "listen").then_some(
        "--endpoint is that of the events here (pubsub_endpoint of circusd, tcp://127.0.0.1:5556 unless given). A daemon \
         whose control endpoint is given there, or by CIRCUSCTL_ENDPOINT, is asked where its events are. If nobody \
         is there within --timeout seconds, that is said, and waited on.",
    )
}

/// `circusctl --help COMMAND`, and `help COMMAND` in the shell.
pub fn documentation(spec: &CommandSpec) -> String {
    let mut lines = vec![spec.summary.to_owned(), "=".repeat(spec.summary.len()), String::new()];
    for paragraph in spec.doc.split("\n\n") {
        wrap(paragraph, "", &mut lines);
        lines.push(String::new());
    }
    title("Command line", &mut lines);
    lines.push(format!("    circusctl {}", usage_line(spec)));
    lines.push(String::new());
    for option in spec.usage.options {
        entry(&option_text(option), option.doc, &mut lines);
    }
    if !spec.usage.options.is_empty() {
        lines.push(String::new());
    }
    if let Some(remark) = remark(spec) {
        wrap(remark, "", &mut lines);
        lines.push(String::new());
    }
    if !spec.properties.is_empty() {
        title("Properties of the request", &mut lines);
        for property in spec.properties {
            let required = if property.required { ", required" } else { "" };
            lines.push(format!("{} ({}{required})", property.name, property.kind.word()));
            wrap(property.doc, "    ", &mut lines);
        }
        lines.push(String::new());
    }
    if !spec.reply.is_empty() {
        title("Members of the answer", &mut lines);
        for member in spec.reply {
            lines.push(member.name.to_owned());
            wrap(member.doc, "    ", &mut lines);
        }
        lines.push(String::new());
    }
    lines.pop();
    lines.join("\n")
}

/// The `help` of the shell: what is documented, in columns that fill a line downwards.
pub fn topics() -> String {
    let mut names: Vec<_> = TABLE.iter().map(|spec| spec.name).chain(["help"]).collect();
    names.sort_unstable();
    let mut text = String::from("\n");
    for (heading, names) in
        [("Documented commands (type help <topic>):", &names[..]), ("Undocumented commands:", &["EOF"][..])]
    {
        text.push_str(&format!("{heading}\n{}\n{}\n\n", "=".repeat(heading.len()), columns(names)));
    }
    text.pop();
    text
}

/// As few lines as fit the width; each column is as wide as its widest word and two blanks.
fn columns(words: &[&str]) -> String {
    for rows in 1..=words.len() {
        let columns: Vec<_> = words.chunks(rows).collect();
        let widths: Vec<_> =
            columns.iter().map(|column| column.iter().map(|it| it.len()).max().unwrap_or(0)).collect();
        if widths.iter().sum::<usize>() + 2 * (widths.len() - 1) >= WIDTH {
            continue;
        }
        let line = |row: usize| {
            let cells = columns
                .iter()
                .zip(&widths)
                .filter_map(|(column, width)| column.get(row).map(|word| format!("{word:<width$}")));
            cells.collect::<Vec<_>>().join("  ")
        };
        return (0..rows).map(line).collect::<Vec<_>>().join("\n");
    }
    String::new()
}

fn title(text: &str, lines: &mut Vec<String>) {
    lines.push(text.to_owned());
    lines.push("-".repeat(text.len()));
    lines.push(String::new());
}

/// A name and its meaning; a long name stands on a line of its own.
fn entry(name: &str, meaning: &str, lines: &mut Vec<String>) {
    if name.len() + 4 > MEANING {
        lines.push(format!("  {name}"));
        lines.push(format!("{:MEANING$}{meaning}", ""));
    } else {
        lines.push(format!("  {name:<width$}{meaning}", width = MEANING - 2));
    }
}

fn option_text(option: &CommandOption) -> String {
    match option.sets {
        Sets::Flag(_) => format!("--{}", option.name),
        Sets::Text(value) | Sets::Number(value) => format!("--{} {value}", option.name),
        Sets::Choice(words) => format!("--{} {}", option.name, words.join("|")),
    }
}

fn wrap(paragraph: &str, indent: &str, lines: &mut Vec<String>) {
    let mut line = indent.to_owned();
    for word in paragraph.split_whitespace() {
        if line.len() > indent.len() {
            if line.chars().count() + 1 + word.chars().count() > WIDTH {
                lines.push(std::mem::replace(&mut line, indent.to_owned()));
            } else {
                line.push(' ');
            }
        }
        line.push_str(word);
    }
    lines.push(line);
}

#[cfg(test)]
mod tests {
    use circus_common::protocol::commands::find;

    use super::*;

    #[test]
    fn the_overview_lists_commands_and_options_as_circus_does() {
        let text = overview();
        assert!(text.starts_with(
            "usage: circusctl [options] command [args]\n\nControls a Circus daemon\n\nCommands:\n  \
             add                   Add a watcher\n"
        ));
        assert!(text.contains("\n  decr                  Decrement the number of processes in a watcher\n"));
        assert!(text.contains(
            "\n  --endpoint ENDPOINT   connection endpoint\n  -h, --help            Show help and exit\n"
        ));
        assert!(
            text.contains("\n  --ssh_keyfile SSH_KEYFILE\n                        the path to the keyfile")
        );
    }

    #[test]
    fn the_usage_of_a_command_names_its_options() {
        assert_eq!(
            usage(find("quit").unwrap()),
            "usage: circusctl [options] quit [--waiting]\n\noptions:\n  \
             -h, --help            show this help message and exit\n  \
             --waiting             Wait until the work has ended"
        );
    }

    #[test]
    fn listen_says_which_endpoint_it_means() {
        let spec = find("listen").unwrap();
        for text in [usage(spec), documentation(spec)] {
            assert!(text.contains("\n--endpoint is that of the events here (pubsub_endpoint"), "{text}");
        }
    }

    #[test]
    fn topics_fill_columns_downwards() {
        let text = topics();
        assert!(text.starts_with(
            "\nDocumented commands (type help <topic>):\n========================================\nadd "
        ));
        assert!(text.ends_with("\n\nUndocumented commands:\n======================\nEOF\n"));
        for spec in TABLE {
            assert!(text.contains(spec.name));
        }
        assert!(text.lines().all(|line| line.len() < WIDTH));
    }

    #[test]
    fn the_documentation_of_every_command_keeps_its_lines_short() {
        for spec in TABLE {
            let text = documentation(spec);
            assert!(text.starts_with(spec.summary));
            assert!(text.lines().all(|line| line.chars().count() <= WIDTH + 20), "{text}");
        }
    }
}
