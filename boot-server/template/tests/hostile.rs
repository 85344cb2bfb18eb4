//! Templates that were written to end a server: each has to end as a text or an error, on a small stack.
//!
//! What took minutes or gigabytes once is done at once here, so that a relapse shows as a timeout.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;

use go_template::{
    Budget, CallError, ExecError, Exhausted, Map, MissingKey, ParseError, Reason, SyntaxError,
    Template, Value,
};

#[derive(Debug)]
enum Failed {
    Parse(ParseError),
    Exec(Reason),
}

impl Failed {
    fn reason(self) -> Reason {
        match self {
            Failed::Exec(reason) => reason,
            Failed::Parse(error) => panic!("does not parse: {error}"),
        }
    }
}

fn render_by(text: &str, data: &Value, budget: Budget) -> Result<String, Failed> {
    let template = Template::parse("", text, MissingKey::Default).map_err(Failed::Parse)?;
    let rendered = template.render(Some(data), budget);
    let rendered = rendered.map_err(|ExecError { reason, .. }| Failed::Exec(reason))?;
    Ok(String::from_utf8(rendered.bytes).unwrap())
}

/// A third of what a render of the server has, which is soon used up.
const SMALL: Budget = Budget {
    steps: 300_000,
    bytes: 20 << 20,
};

/// Renders on a thread with a stack of 512 KiB, a quarter of what answering threads have.
fn render(text: &str) -> Result<String, Failed> {
    let items = Value::list((0..1000).map(Value::Int));
    let data = Value::Map(Arc::new(Map::from([
        ("l".into(), items),
        ("s".into(), Value::from("text")),
    ])));
    let text = text.to_owned();
    let thread = std::thread::Builder::new().stack_size(512 << 10);
    let rendering = thread.spawn(move || render_by(&text, &data, SMALL));
    rendering.unwrap().join().unwrap()
}

fn nested(open: &str, inside: &str, close: &str, depth: usize) -> String {
    format!("{}{inside}{}", open.repeat(depth), close.repeat(depth))
}

#[test]
fn h4_else_if_2500_times_is_rendered() {
    for count in [2_500, 20_000] {
        let text = format!(
            "{{{{if false}}}}a{}{{{{else}}}}z{{{{end}}}}",
            "{{else if false}}b".repeat(count)
        );
        assert_eq!(render(&text).unwrap(), "z");
    }
}

/// Templates of which each executes the one before twice.
fn doubling(count: usize, bottom: &str) -> String {
    let mut text = format!("{{{{define \"t0\"}}}}{bottom}{{{{end}}}}");
    for number in 1..=count {
        let before = number - 1;
        text += &format!(
            "{{{{define \"t{number}\"}}}}{{{{template \"t{before}\" .}}}}{{{{template \"t{before}\" .}}}}{{{{end}}}}"
        );
    }
    text + &format!("{{{{template \"t{count}\" .}}}}")
}

#[test]
fn h4_nested_defines_with_output_end_at_the_budget() {
    let reason = render(&doubling(24, &"x".repeat(1024)))
        .unwrap_err()
        .reason();
    assert!(
        matches!(
            reason,
            Reason::Exhausted(Exhausted::Bytes(_) | Exhausted::Steps(_))
        ),
        "{reason}"
    );
}

#[test]
fn h4_nested_defines_without_output_end_at_the_budget() {
    let reason = render(&doubling(30, "")).unwrap_err().reason();
    assert!(
        matches!(reason, Reason::Exhausted(Exhausted::Steps(_))),
        "{reason}"
    );
}

#[test]
fn l9_stray_end_behind_many_blocks_is_found_in_linear_time() {
    let text = format!("{}\n x{{{{end}}}}", "{{if .s}}a{{end}}\n".repeat(30_000));
    let Err(Failed::Parse(error)) = render(&text) else {
        panic!("it parses");
    };
    assert_eq!(error.kind, SyntaxError::UnexpectedControl("{{end}}"));
    assert_eq!(error.place.line, 30_002);
}

#[test]
fn l9_open_blocks_are_found_in_linear_time() {
    let Err(Failed::Parse(error)) = render(&"{{if .s}}a".repeat(30_000)) else {
        panic!("it parses");
    };
    assert_eq!(error.kind, SyntaxError::UnexpectedEnd);
}

#[test]
fn deep_nesting_is_rendered_without_recursion() {
    let end = "{{end}}";
    let blocks: String = (0..5_000)
        .map(|number| format!("{{{{block \"b{number}\" .}}}}"))
        .collect();
    for (text, expected) in [
        (blocks + "x" + &end.repeat(5_000), "x"),
        (nested("{{if true}}", "x", end, 20_000), "x"),
        (nested("{{with $}}", "x", end, 20_000), "x"),
        (
            nested(
                "{{range slice .l 0 1}}{{with $}}",
                "x",
                &end.repeat(2),
                5_000,
            ),
            "x",
        ),
        (
            format!("{{{{{}}}}}", nested("(", ".s", ")", 20_000)),
            "text",
        ),
        (
            format!("{{{{{}}}}}", nested("(print ", "1", ")", 10_000)),
            "1",
        ),
        (
            format!("{{{{not {}}}}}", nested("(not ", ".s", ")", 10_001)),
            "true",
        ),
        (format!("{{{{.s{}}}}}", " | print".repeat(20_000)), "text"),
    ] {
        let shown = text.get(..30).unwrap_or(&text).to_owned();
        match render(&text) {
            Ok(rendered) => assert_eq!(rendered, expected, "{shown}"),
            Err(Failed::Parse(error)) => panic!("{shown}: {error}"),
            Err(Failed::Exec(reason)) => panic!("{shown}: {reason}"),
        }
    }
}

#[test]
fn deep_parentheses_in_an_error_are_shown_cut() {
    let text = format!("{{{{len {}}}}}", nested("(", "1", ")", 20_000));
    let template = Template::parse("", &text, MissingKey::Error).unwrap();
    let error = template.render(None, Budget::default()).unwrap_err();
    assert!(error.to_string().len() < 5_000);
    assert_eq!(
        error.reason,
        Reason::Call {
            function: "len".to_owned(),
            error: Box::new(CallError::LenOfType("int"))
        }
    );
}

#[test]
fn endless_recursion_ends_as_in_go_or_at_the_budget() {
    let plain = "{{define \"a\"}}{{template \"a\" .}}{{end}}{{template \"a\" .}}";
    assert_eq!(
        render(plain).unwrap_err().reason(),
        Reason::TooDeep(100_000)
    );
    let wide = "{{define \"a\"}}{{range .l}}{{template \"a\" $}}{{end}}{{end}}{{template \"a\" .}}";
    let reason = render(wide).unwrap_err().reason();
    assert!(
        matches!(reason, Reason::Exhausted(_) | Reason::TooDeep(_)),
        "{reason}"
    );
}

#[test]
fn loops_in_loops_end_at_the_budget() {
    for text in [
        nested("{{range $.l}}", "x", "{{end}}", 5),
        nested("{{range $.l}}", "", "{{end}}", 5),
        nested("{{range $.l}}", "{{continue}}", "{{end}}", 5),
        nested("{{range $.l}}", "{{with 1}}{{break}}{{end}}", "{{end}}", 5),
    ] {
        let reason = render(&text).unwrap_err().reason();
        assert!(
            matches!(reason, Reason::Exhausted(Exhausted::Steps(_))),
            "{text}: {reason}"
        );
    }
}

#[test]
fn huge_widths_and_texts_end_at_the_budget() {
    let wide = nested("{{range $.l}}", "{{printf \"%1000000d\" 1}}", "{{end}}", 1);
    let doubled = "{{$x := \"x\"}}{{range .l}}{{$x = print $x $x}}{{end}}".to_owned();
    let replaced = "{{$x := \"<\"}}{{range .l}}{{$x = html $x $x}}{{end}}".to_owned();
    let quoted = "{{$x := \"'\"}}{{range .l}}{{$x = printf \"%q%q\" $x $x}}{{end}}".to_owned();
    let listed = nested("{{range $.l}}", "{{$.l}}", "{{end}}", 2);
    for text in [wide, doubled, replaced, quoted, listed] {
        let reason = render(&text).unwrap_err().reason();
        assert!(matches!(reason, Reason::Exhausted(_)), "{text}: {reason}");
    }
}

#[test]
fn widths_beyond_gos_limit_are_no_widths() {
    assert_eq!(
        render("{{printf \"%999999999d\" 1}}").unwrap(),
        "%!(NOVERB)%!(EXTRA int=1)"
    );
    assert_eq!(
        render("{{printf \"%.999999999f\" 1.0}}").unwrap(),
        "%!(NOVERB)%!(EXTRA float64=1)"
    );
    assert_eq!(
        render("{{printf \"%*d\" 99999999 1}}").unwrap(),
        "%!(BADWIDTH)1"
    );
    let wide = render("{{printf \"%.1000000f\" 1.0 | len}} {{printf \"%1000000U\" 1 | len}}");
    assert_eq!(wide.unwrap(), "1000002 1000000");
    assert_eq!(
        render("{{printf \"%.1000000d\" 1 | len}}").unwrap(),
        "1000000"
    );
}

#[test]
fn slices_and_indexes_out_of_range_are_errors() {
    for text in [
        "{{index .l 9223372036854775807}}",
        "{{index .l -9223372036854775808}}",
        "{{slice .l 9223372036854775807}}",
        "{{slice .s 0 9223372036854775807}}",
        "{{slice .l 3 2}}",
        "{{slice .l 0 5 4}}",
        "{{slice .l 1 2 3 4}}",
        "{{index .s 4}}",
    ] {
        let reason = render(text).unwrap_err().reason();
        assert!(matches!(reason, Reason::Call { .. }), "{text}: {reason}");
    }
}

#[test]
fn comparing_long_texts_counts_as_work() {
    let text = "{{$x := printf \"%1000000d\" 1}}{{range .l}}{{range $.l}}{{if eq $x $x}}{{end}}{{end}}{{end}}";
    let reason = render(text).unwrap_err().reason();
    assert!(
        matches!(reason, Reason::Exhausted(Exhausted::Steps(_))),
        "{reason}"
    );
}

#[test]
fn work_without_output_ends_at_the_budget() {
    let long = "{{$x := printf \"%1000000d\" 1}}";
    let twice = |inside: &str| nested("{{range $.l}}", inside, "{{end}}", 2);
    for text in [
        format!("{long}{}", twice("{{$y := slice $x 1}}")),
        format!("{long}{}", twice("{{$y := index $ $x}}")),
        format!("{long}{}", twice("{{$y := printf \"%.0x\" $x}}")),
        twice(&format!("{{{{$y := or {}}}}}", "0 ".repeat(10_000))),
        twice(&format!("{{{{$y := $.n{}}}}}", ".n".repeat(10_000))),
        twice(&format!("{{{{$y := $.{}}}}}", "n".repeat(1_000_000))),
    ] {
        let reason = render(&text).unwrap_err().reason();
        assert!(
            matches!(reason, Reason::Exhausted(_)),
            "{}: {reason}",
            &text[..60]
        );
    }
}

#[test]
fn many_variables_are_found_in_constant_time() {
    let declared: String = (0..10_000)
        .map(|number| format!("{{{{$v{number} := {number}}}}}"))
        .collect();
    let used = "{{$v0}}{{$v9999}}".repeat(10_000);
    let rendered = render(&(declared + &used)).unwrap();
    assert_eq!(rendered.len(), 10_000 * "09999".len());
    let same = format!("{}{{{{$v}}}}", "{{$v := 1}}".repeat(20_000));
    assert_eq!(render(&same).unwrap(), "1");
}

#[test]
fn more_actions_than_memory_allows_are_refused() {
    for text in [
        "{{.}}".repeat(90_000),
        format!("{{{{print{}}}}}", " 1".repeat(300_000)),
        format!("{{{{{}", "(".repeat(600_000)),
        format!("{{{{$x{}}}}}", ".a".repeat(510_000)),
        format!("{{{{.a{}}}}}", ".a".repeat(510_000)),
        "{{block \"a\" .}}".repeat(90_000),
    ] {
        let Err(Failed::Parse(error)) = render(&text) else {
            panic!("it parses");
        };
        let is_refused = matches!(
            error.kind,
            SyntaxError::TooLarge(_) | SyntaxError::UndefinedVariable(_)
        );
        assert!(is_refused, "{error}");
    }
}

#[test]
fn formats_that_ask_for_arguments_without_end_take_linear_time() {
    let rendered = render(&format!(
        "{{{{printf \"{}\" 1 | len}}}}",
        "%[".repeat(200_000)
    ))
    .unwrap();
    assert!(rendered.parse::<usize>().unwrap() > 50_000);
}

#[test]
fn values_nested_too_deeply_are_an_error() {
    let deep = (0..10_000).fold(Value::Nil, |inner, _| Value::list([inner]));
    let shallow = (0..150).fold(Value::Nil, |inner, _| Value::list([inner]));
    assert!(render_by("{{.}}", &shallow, Budget::default()).is_ok());
    let reason = render_by("{{.}}", &deep, Budget::default())
        .unwrap_err()
        .reason();
    assert!(
        matches!(reason, Reason::Exhausted(Exhausted::Depth(_))),
        "{reason}"
    );
    // Rust drops it by recursion.
    std::mem::forget(deep);
}

#[test]
fn steps_of_a_render_are_counted() {
    let template = Template::parse("", "{{range .}}x{{end}}", MissingKey::Error).unwrap();
    let list = |length| Value::list((0..length).map(Value::Int));
    let steps = |length| {
        template
            .render(Some(&list(length)), Budget::default())
            .unwrap()
            .steps
    };
    let (once, twice) = (steps(1_000), steps(2_000));
    assert!(
        once >= 1_000 && twice > once && twice <= 2 * once,
        "{once} {twice}"
    );
}
