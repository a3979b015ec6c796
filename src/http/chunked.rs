//! temporary
#[derive(Debug)]
pub struct Chunked;
pub struct Step { pub consumed: usize, pub body: usize, pub done: bool }
impl Chunked { pub fn new() -> Self { Self } pub fn on_bytes(&mut self, b: &[u8]) -> Result<Step, ()> { Ok(Step{consumed:b.len(),body:0,done:false}) } }
