//! The bounds of a component, counted before anything compiles it. Pure.
//!
//! Compiling costs more than the size of a file tells: a function of a few bytes
//! may declare tens of thousands of variables, and the work of a function grows
//! with its variables times its branches. The bounds are far above what compilers of
//! ordinary languages make, and refuse within milliseconds what is out of all
//! proportion. What they let through is still compiled in a process with limits of its
//! own (`compile.rs`).

use std::fmt;

use wasmparser::{BinaryReaderError, FunctionBody, Operator, Parser, Payload};

use super::{
    limits::{Limit, Limits},
    refused::Refused,
};

/// Components and modules in each other; `wit-component` nests them three deep.
const NESTING: usize = 16;

/// Core modules. The pool has no room for an instance of more.
const MODULES: u64 = 64;

/// Functions, all modules together: an interpreter has tens of thousands.
const FUNCTIONS: u64 = 200_000;

/// Bytes of one function: the main loop of an interpreter has some 100,000.
const FUNCTION_SIZE: usize = 1 << 20;

/// Variables of one function, which a compiler tracks one by one.
const LOCALS: u64 = 20_000;

/// Variables of all functions: twenty for each that there may be.
const ALL_LOCALS: u64 = 4_000_000;

/// Loops in each other. Nobody writes ten; each makes the analysis of all others
/// longer.
const LOOPS: usize = 256;

/// Blocks in each other: a `switch` has one for each of its cases.
const BLOCKS: usize = 20_000;

/// Variables times branches of one function: what a compiler may have to look at to
/// find out where the value of a variable comes from.
const WORK: u64 = 64_000_000;

/// Entries of one section: types, imports, exports, aliases and so on.
const ENTRIES: u32 = 100_000;

/// Entries of all sections.
const ALL_ENTRIES: u64 = 1_000_000;

/// Counts what a component is made of.
///
/// # Errors
/// The first bound that it exceeds, or where it is no component.
pub(super) fn check(component: &[u8], limits: &Limits) -> Result<(), Refused> {
    let mut counts = Counts::default();
    for payload in Parser::new(0).parse_all(component) {
        counts.count(&payload?, limits)?;
    }
    Ok(())
}

#[derive(Default)]
struct Counts {
    depth: usize,
    modules: u64,
    functions: u64,
    locals: u64,
    entries: u64,
}

impl Counts {
    fn count(&mut self, payload: &Payload<'_>, limits: &Limits) -> Result<(), Refused> {
        match payload {
            Payload::ModuleSection { .. } => {
                self.modules += 1;
                within("core modules", self.modules, MODULES)?;
                self.descend()
            }
            Payload::ComponentSection { .. } => self.descend(),
            Payload::End(_) => {
                self.depth = self.depth.saturating_sub(1);
                Ok(())
            }
            Payload::CodeSectionStart { count, .. } => {
                self.functions += u64::from(*count);
                within("functions", self.functions, FUNCTIONS)
            }
            Payload::CodeSectionEntry(body) => {
                self.locals = self.locals.saturating_add(function(body)?);
                within("variables in its functions", self.locals, ALL_LOCALS)
            }
            Payload::MemorySection(memories) => {
                for memory in memories.clone() {
                    let memory = memory?;
                    let page = 1_u64
                        .checked_shl(memory.page_size_log2.unwrap_or(16))
                        .unwrap_or(u64::MAX);
                    at_most(
                        memory.initial.saturating_mul(page),
                        limits.memory,
                        Limit::Memory,
                    )?;
                }
                self.section(memories.count())
            }
            Payload::TableSection(tables) => {
                for table in tables.clone() {
                    at_most(table?.ty.initial, limits.table, Limit::Table)?;
                }
                self.section(tables.count())
            }
            other => self.section(entries(other)),
        }
    }

    fn descend(&mut self) -> Result<(), Refused> {
        self.depth += 1;
        within("components in each other", self.depth, NESTING)
    }

    fn section(&mut self, count: u32) -> Result<(), Refused> {
        within("entries in one section", count, ENTRIES)?;
        self.entries += u64::from(count);
        within("entries in its sections", self.entries, ALL_ENTRIES)
    }
}

/// The entries of a section that has nothing else to be counted.
fn entries(payload: &Payload<'_>) -> u32 {
    match payload {
        Payload::TypeSection(section) => section.count(),
        Payload::ImportSection(section) => section.count(),
        Payload::TagSection(section) => section.count(),
        Payload::GlobalSection(section) => section.count(),
        Payload::ExportSection(section) => section.count(),
        Payload::ElementSection(section) => section.count(),
        Payload::DataSection(section) => section.count(),
        Payload::InstanceSection(section) => section.count(),
        Payload::CoreTypeSection(section) => section.count(),
        Payload::ComponentInstanceSection(section) => section.count(),
        Payload::ComponentAliasSection(section) => section.count(),
        Payload::ComponentTypeSection(section) => section.count(),
        Payload::ComponentCanonicalSection(section) => section.count(),
        Payload::ComponentImportSection(section) => section.count(),
        Payload::ComponentExportSection(section) => section.count(),
        _ => 0,
    }
}

/// Counts one function; gives its variables.
fn function(body: &FunctionBody<'_>) -> Result<u64, Refused> {
    within("bytes in one function", body.range().len(), FUNCTION_SIZE)?;
    let mut locals = 0_u64;
    for declared in body.get_locals_reader()? {
        locals = locals.saturating_add(u64::from(declared?.0));
    }
    within("variables in one function", locals, LOCALS)?;
    let mut branches = 0_u64;
    // Whether each of the blocks that are open is a loop.
    let mut open = Vec::new();
    let mut loops = 0_usize;
    let mut operators = body.get_operators_reader()?;
    while !operators.eof() {
        let targets = match operators.read()? {
            Operator::Loop { .. } => {
                open.push(true);
                loops += 1;
                within("loops in each other", loops, LOOPS)?;
                1
            }
            Operator::Block { .. } | Operator::If { .. } | Operator::TryTable { .. } => {
                open.push(false);
                1
            }
            Operator::End => {
                if open.pop() == Some(true) {
                    loops -= 1;
                }
                0
            }
            Operator::Else | Operator::Br { .. } | Operator::BrIf { .. } => 1,
            Operator::BrTable { targets } => u64::from(targets.len()),
            _ => 0,
        };
        within("blocks in each other", open.len(), BLOCKS)?;
        branches += targets;
    }
    let work = locals.saturating_add(1).saturating_mul(branches);
    within("variables times branches in one function", work, WORK)?;
    Ok(locals)
}

fn within<N: PartialOrd + fmt::Display>(what: &str, count: N, most: N) -> Result<(), Refused> {
    if count <= most {
        Ok(())
    } else {
        Err(Refused::TooMuch(format!(
            "it has {count} {what}, and {most} is the most"
        )))
    }
}

fn at_most(size: u64, most: usize, limit: Limit) -> Result<(), Refused> {
    if usize::try_from(size).is_ok_and(|size| size <= most) {
        Ok(())
    } else {
        Err(Refused::Beyond(limit))
    }
}

impl From<BinaryReaderError> for Refused {
    fn from(error: BinaryReaderError) -> Self {
        Self::Malformed(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(text: &str) -> Result<(), Refused> {
        check(&wat::parse_str(text).unwrap(), &Limits::default())
    }

    /// A component with one module.
    fn module(fields: &str) -> String {
        format!("(component (core module {fields}))")
    }

    fn function_with(locals: usize, body: &str) -> String {
        format!("(func (local {}) {body})", "i32 ".repeat(locals))
    }

    #[test]
    fn what_costs_more_to_compile_than_it_may_is_named() {
        let nested = |outer: &str, count| outer.repeat(count) + &"end ".repeat(count);
        let depth = 17;
        for (what, says, text) in [
            (
                "variables",
                "20001 variables in one function",
                module(&function_with(20_001, "")),
            ),
            (
                "nested loops",
                "257 loops in each other",
                module(&function_with(1, &nested("loop ", 257))),
            ),
            (
                "nested blocks",
                "blocks in each other",
                module(&function_with(1, &nested("block ", 20_001))),
            ),
            (
                "branches",
                "variables times branches",
                module(&function_with(10_000, &"block end ".repeat(7_000))),
            ),
            (
                "a long function",
                "bytes in one function",
                module(&function_with(1, &"nop ".repeat((1 << 20) + 1))),
            ),
            (
                "modules",
                "65 core modules",
                format!("(component {})", "(core module) ".repeat(65)),
            ),
            (
                "depth",
                "components in each other",
                format!(
                    "(component {}{})",
                    "(component ".repeat(depth),
                    ")".repeat(depth)
                ),
            ),
            (
                "globals",
                "entries in one section",
                module(&"(global i32 (i32.const 0)) ".repeat(100_001)),
            ),
        ] {
            match judged(&text) {
                Err(Refused::TooMuch(reason)) => {
                    assert!(reason.contains(says), "{what}: {reason}");
                }
                other => panic!("{what}: {other:?}"),
            }
        }
    }

    #[test]
    fn variables_are_counted_over_all_functions() {
        let component = wat::parse_str(module(&function_with(20_000, ""))).unwrap();
        let mut counts = Counts {
            locals: ALL_LOCALS - 10_000,
            ..Counts::default()
        };
        let refused = Parser::new(0)
            .parse_all(&component)
            .find_map(|payload| counts.count(&payload.unwrap(), &Limits::default()).err());
        match refused {
            Some(Refused::TooMuch(reason)) => {
                assert!(reason.contains("variables in its functions"), "{reason}");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_begins_larger_than_a_call_may_grow_is_refused_by_that_limit() {
        for (limit, text) in [
            (Limit::Memory, module("(memory 16384)")),
            (Limit::Memory, module("(memory i64 0x1000000000000)")),
            (Limit::Table, module("(table 1000000 funcref)")),
        ] {
            match judged(&text) {
                Err(Refused::Beyond(found)) => assert_eq!(found, limit, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_compilers_make_passes() {
        let cases: String = "block ".repeat(1000)
            + "local.get 0 br_table "
            + &(0..1000).map(|n| format!("{n} ")).collect::<String>()
            + &"end ".repeat(1000);
        let text = module(&format!(
            "(memory 256) (table 5000 funcref) (func (param i32) (local {}) {cases})",
            "i64 ".repeat(500)
        ));
        judged(&text).unwrap();
        judged("(component (component (component)))").unwrap();
    }

    #[test]
    fn what_does_not_parse_is_malformed() {
        let component = wat::parse_str(module("(func)")).unwrap();
        for cut in 9..component.len() {
            let judged = check(&component[..cut], &Limits::default());
            assert!(matches!(judged, Ok(()) | Err(Refused::Malformed(_))));
        }
    }
}
