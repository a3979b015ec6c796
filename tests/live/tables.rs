//! The tables of descriptors of a process whose first thread has one of its own.

/// What the descriptors of the first thread stand for, and those of another one. None, said aloud: unshare(2) is forbidden here.
pub(crate) fn of_first_and_another(pid: u32) -> Option<(Vec<String>, Vec<String>)> {
    let of = |task: &str| -> Vec<String> {
        let descriptors = std::fs::read_dir(format!("/proc/{pid}/task/{task}/fd")).expect("its descriptors");
        let links = descriptors.filter_map(|d| std::fs::read_link(d.ok()?.path()).ok());
        let mut names: Vec<String> = links.map(|l| l.to_string_lossy().into_owned()).collect();
        names.sort();
        names
    };
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("its threads");
    let mut names = tasks.map(|t| t.expect("a thread").file_name().to_string_lossy().into_owned());
    let another = names.find(|t| *t != pid.to_string()).expect("another thread");
    let (first, other) = (of(&pid.to_string()), of(&another));
    if first == other {
        let split = std::thread::spawn(|| nix::sched::unshare(nix::sched::CloneFlags::CLONE_FILES)).join().expect("it ends");
        let why = split.expect_err("it is allowed, and not done");
        crate::loud::skipped(format!("unshare(CLONE_FILES) is forbidden here: {why}"));
        return None;
    }
    Some((first, other))
}
