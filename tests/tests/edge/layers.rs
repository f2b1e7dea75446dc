//! The source of the host keeps its order: a module imports only from lines above its
//! own in the table `# Layout` of its crate, and no files import each other in a circle.
//!
//! The table is the order, so a reader who begins with it can rely on it. Parent and child are
//! one thing that was divided: a child may use its parent's types, and a parent its child's
//! functions. Between the children of a folder there is no circle; a name that a parent
//! re-exports from one child counts, in another one, as an import from that child. Tests may
//! use anything.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use lessor_tests::server::workspace;
use proc_macro2::{TokenStream, TokenTree};
use syn::{
    Attribute, ImplItem, Item, ItemMod, ItemUse, UseTree,
    visit::{self, Visit},
};

/// A module by its path from the root of the crate, which is empty.
type Module = Vec<String>;

/// The modules that a module imports something from.
type Imports = BTreeSet<Module>;

#[test]
fn a_module_imports_only_lines_above_its_own() {
    let mut tables = 0;
    for source in crates() {
        let Some(lines) = layout(&source) else {
            continue;
        };
        tables += 1;
        let modules = read(&source);
        assert_eq!(
            lines.keys().collect::<BTreeSet<_>>(),
            modules.keys().filter_map(|module| module.first()).collect(),
            "{source:?}: the table and the modules"
        );
        for (module, imports) in &modules {
            let Some(from) = module.first() else { continue };
            for to in imports.iter().filter_map(|to| to.first()) {
                assert!(
                    from == to || lines[to] < lines[from],
                    "{source:?}: {} imports {to}, whose line is not above that of {from}",
                    module.join("::")
                );
            }
        }
    }
    assert!(tables > 0, "no crate has a table");
}

#[test]
fn the_files_of_a_folder_import_each_other_in_no_circle() {
    for source in crates() {
        let modules = read(&source);
        for folder in modules.keys() {
            let circle = circle_below(folder, &modules).map(|circle| circle.join(" -> "));
            assert_eq!(circle, None, "{source:?}, below {:?}", folder.join("::"));
        }
    }
}

/// The sources of the host's crates.
fn crates() -> Vec<PathBuf> {
    let host = workspace().join("host");
    let below = fs::read_dir(&host).unwrap();
    let below = below.map(|entry| entry.unwrap().path().join("src"));
    let all: Vec<PathBuf> = below
        .chain([host.join("src")])
        .filter(|source| source.join("lib.rs").is_file())
        .collect();
    assert!(!all.is_empty());
    all
}

/// In which line of the table `# Layout` each module stands. A crate that is one idea in
/// several files has none; only circles are looked for there.
fn layout(source: &Path) -> Option<BTreeMap<String, usize>> {
    let text = fs::read_to_string(source.join("lib.rs")).unwrap();
    if !text.contains("//! # Layout") {
        return None;
    }
    let table = text
        .lines()
        .skip_while(|line| !line.starts_with("//! # Layout"))
        .skip(1)
        .take_while(|line| !line.starts_with("//! # "));
    let rows = table.filter_map(|line| line.strip_prefix("//! | ["));
    let mut lines = BTreeMap::new();
    for (number, row) in rows.enumerate() {
        let names = row.split('|').next().unwrap();
        for name in names.split('`').skip(1).step_by(2) {
            let former = lines.insert(name.to_owned(), number);
            assert_eq!(former, None, "{name} stands in two lines");
        }
    }
    Some(lines)
}

/// The modules of a crate, but for those of its tests.
fn read(source: &Path) -> BTreeMap<Module, Imports> {
    let mut files = Vec::new();
    collect(source, &source.join("lib.rs"), Vec::new(), &mut files);
    let modules: BTreeSet<Module> = files.iter().map(|(module, _)| module.clone()).collect();
    let lent: BTreeMap<Module, BTreeMap<String, Module>> = files
        .iter()
        .map(|(module, reader)| (module.clone(), reader.names(module, &modules)))
        .collect();
    files
        .iter()
        .map(|(module, reader)| {
            let paths = reader
                .paths
                .iter()
                .chain(reader.uses.iter().map(|(_, path)| path));
            let found = paths.filter_map(|path| target(path, module, &modules, &lent));
            (module.clone(), found.filter(|to| to != module).collect())
        })
        .collect()
}

/// Reads a file and those of the modules that it declares.
fn collect(directory: &Path, file: &Path, module: Module, files: &mut Vec<(Module, Reader)>) {
    let text = fs::read_to_string(file).unwrap();
    let parsed = syn::parse_file(&text).unwrap();
    let mut reader = Reader::default();
    reader.visit_file(&parsed);
    for name in std::mem::take(&mut reader.declared) {
        let child = directory.join(&name);
        let module = [module.clone(), vec![name]].concat();
        collect(&child, &child.with_extension("rs"), module, files);
    }
    files.push((module, reader));
}

/// The module that a path of `module` leads to, if it is one of this crate.
fn target(
    path: &[String],
    module: &Module,
    modules: &BTreeSet<Module>,
    lent: &BTreeMap<Module, BTreeMap<String, Module>>,
) -> Option<Module> {
    let (mut to, rest) = resolve(path, module, modules)?;
    // A name that the parent itself imports.
    if module.starts_with(&to)
        && let Some(name) = rest.first()
        && let Some(origin) = lent.get(&to).and_then(|names| names.get(name))
    {
        to.clone_from(origin);
    }
    Some(to)
}

/// The longest beginning of a path that is a module, and the name after it.
fn resolve<'p>(
    path: &'p [String],
    module: &Module,
    modules: &BTreeSet<Module>,
) -> Option<(Module, &'p [String])> {
    let mut to = module.clone();
    let mut rest = path;
    match path.first()?.as_str() {
        "crate" => {
            to.clear();
            rest = &rest[1..];
        }
        "self" => rest = &rest[1..],
        "super" => {
            while rest.first().is_some_and(|word| word == "super") {
                to.pop()?;
                rest = &rest[1..];
            }
        }
        name => {
            let child = [to.clone(), vec![name.to_owned()]].concat();
            modules.contains(&child).then_some(())?;
        }
    }
    while let Some(name) = rest.first() {
        let child = [to.clone(), vec![name.clone()]].concat();
        if !modules.contains(&child) {
            break;
        }
        to = child;
        rest = &rest[1..];
    }
    Some((to, rest))
}

/// Children of a folder that import each other in a circle, from one back to it.
fn circle_below(folder: &Module, modules: &BTreeMap<Module, Imports>) -> Option<Vec<String>> {
    let depth = folder.len();
    let child = |module: &Module| {
        (module.len() > depth && module.starts_with(folder)).then(|| module[depth].clone())
    };
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (module, imports) in modules {
        let Some(from) = child(module) else { continue };
        let to = imports.iter().filter_map(child);
        let to = to.filter(|to| *to != from).collect::<Vec<_>>();
        edges.entry(from).or_default().extend(to);
    }
    edges.keys().find_map(|start| way_back(start, &edges))
}

/// The shortest way from a node to itself.
fn way_back(start: &str, edges: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    let mut ways = vec![vec![start.to_owned()]];
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            for next in edges.get(way.last()?).into_iter().flatten() {
                let mut way = way.clone();
                way.push(next.clone());
                if next == start {
                    return Some(way);
                }
                if seen.insert(next.clone()) {
                    longer.push(way);
                }
            }
        }
        ways = longer;
    }
    None
}

/// The names in a file.
#[derive(Default)]
struct Reader {
    /// Names that it imports, as it calls them, and from where.
    uses: Vec<(String, Vec<String>)>,
    /// Paths in its code.
    paths: Vec<Vec<String>>,
    /// Modules in files of their own.
    declared: Vec<String>,
    /// Inline modules of the file around the item that is being read.
    depth: usize,
}

impl Reader {
    /// The module that each imported name of a module comes from.
    fn names(&self, module: &Module, modules: &BTreeSet<Module>) -> BTreeMap<String, Module> {
        self.uses
            .iter()
            .filter_map(|(name, path)| {
                let (to, _) = resolve(path, module, modules)?;
                (to != *module).then(|| (name.clone(), to))
            })
            .collect()
    }

    fn leaves(&mut self, tree: &UseTree, mut path: Vec<String>) {
        match tree {
            UseTree::Path(inner) => {
                path.push(inner.ident.to_string());
                self.leaves(&inner.tree, path);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.leaves(tree, path.clone());
                }
            }
            UseTree::Name(name) if name.ident == "self" => {
                let name = path.last().cloned().unwrap_or_default();
                self.import(name, path);
            }
            UseTree::Name(name) => {
                path.push(name.ident.to_string());
                self.import(name.ident.to_string(), path);
            }
            UseTree::Rename(renamed) => {
                path.push(renamed.ident.to_string());
                self.import(renamed.rename.to_string(), path);
            }
            _ => self.import("*".to_owned(), path),
        }
    }

    fn import(&mut self, name: String, path: Vec<String>) {
        if let Some(path) = self.outside(path) {
            self.uses.push((name, path));
        }
    }

    /// A path as the file itself would write it; none where it stays in the file.
    fn outside(&self, path: Vec<String>) -> Option<Vec<String>> {
        let supers = path.iter().take_while(|word| *word == "super").count();
        match supers {
            0 => Some(path),
            _ if supers > self.depth => Some(path[self.depth..].to_vec()),
            _ => None,
        }
    }

    fn path(&mut self, path: Vec<String>) {
        if path.len() > 1
            && let Some(path) = self.outside(path)
        {
            self.paths.push(path);
        }
    }

    /// Paths in a macro's arguments.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(word) => {
                    if colons != 2 {
                        self.path(std::mem::take(&mut path));
                    }
                    path.push(word.to_string());
                    colons = 0;
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' => colons += 1,
                other => {
                    self.path(std::mem::take(&mut path));
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.tokens(group.stream());
                    }
                }
            }
        }
        self.path(path);
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        if !attributes(item).iter().any(is_for_tests) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let is_test = matches!(item, ImplItem::Fn(item) if item.attrs.iter().any(is_for_tests));
        if !is_test {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        match item.content {
            None => self.declared.push(item.ident.to_string()),
            Some(_) => {
                self.depth += 1;
                visit::visit_item_mod(self, item);
                self.depth -= 1;
            }
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.leaves(&item.tree, Vec::new());
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let words = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string());
        self.path(words.collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        self.tokens(called.tokens.clone());
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Whether the item is compiled for tests only: `cfg(test)`, `cfg(all(test, …))`.
fn is_for_tests(attribute: &Attribute) -> bool {
    let syn::Meta::List(list) = &attribute.meta else {
        return false;
    };
    let mut tokens = list
        .tokens
        .clone()
        .into_iter()
        .map(|token| token.to_string());
    attribute.path().is_ident("cfg")
        && match tokens.next().as_deref() {
            Some("test") => true,
            Some("all") => tokens.next().is_some_and(|inner| inner.contains("test")),
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let file = directory.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        directory
    }

    fn circle(files: &[(&str, &str)], folder: &[&str]) -> Option<String> {
        let directory = source(files);
        let folder: Module = folder.iter().map(|name| (*name).to_owned()).collect();
        circle_below(&folder, &read(directory.path())).map(|way| way.join(" "))
    }

    #[test]
    fn a_circle_is_found_however_it_is_written() {
        for (a, b, expected) in [
            ("use crate::b::X;", "use crate::a::{self as c, Y};", true),
            ("use super::b;", "fn f() { super::a::g(); }", true),
            (
                "use super::b;",
                "fn f() { info!(x = %crate::a::g()); }",
                true,
            ),
            ("use super::b;", "mod inner { use super::super::a; }", true),
            ("use super::b;", "mod inner { use super::a; }", false),
            (
                "use super::b;",
                "#[cfg(test)] mod tests { use crate::a; }",
                false,
            ),
            (
                "use super::b;",
                "// crate::a\nconst A: &str = \"crate::a\";",
                false,
            ),
            ("use super::b;", "", false),
        ] {
            let files = [("lib.rs", "mod a; mod b;"), ("a.rs", a), ("b.rs", b)];
            let found = circle(&files, &[]);
            assert_eq!(found.as_deref(), expected.then_some("a b a"), "{a} {b}");
        }
    }

    #[test]
    fn a_parent_lends_what_it_has_from_a_child() {
        let parent = "mod a; mod b; pub use self::a::X; struct Y;";
        let files = |b| {
            [
                ("lib.rs", "mod parent;"),
                ("parent.rs", parent),
                ("parent/a.rs", "use super::b::Z;"),
                ("parent/b.rs", b),
            ]
        };
        assert_eq!(circle(&files("use super::Y;"), &["parent"]), None);
        let found = circle(&files("use super::X;"), &["parent"]);
        assert_eq!(found.as_deref(), Some("a b a"));
    }
}
