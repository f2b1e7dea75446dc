//! Fuzz targets of the edge: paths, queries, bodies and their fields.

mod bodies;
mod paths;
