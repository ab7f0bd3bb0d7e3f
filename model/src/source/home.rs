//! The rule for where fetched models lie if nothing is said.

use std::ffi::OsString;
use std::path::PathBuf;

/// `lethe` in the user's cache folder, which is `XDG_CACHE_HOME`, else `.cache` in `HOME`, else the
/// system's folder for temporary files.
#[must_use]
pub fn default_home() -> PathBuf {
    home(|variable| std::env::var_os(variable))
}

fn home(variable: impl Fn(&str) -> Option<OsString>) -> PathBuf {
    let folder = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")));
    cache.unwrap_or_else(std::env::temp_dir).join("lethe")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_cache_folder_is_used_and_empty_variables_are_not() {
        for (xdg, user, want) in
            [("/cache", "/home/me", "/cache/lethe"), ("", "/home/me", "/home/me/.cache/lethe")]
        {
            let variable = |name: &str| match name {
                "XDG_CACHE_HOME" => Some(xdg.into()),
                "HOME" => Some(user.into()),
                _ => None,
            };
            assert_eq!(home(variable), PathBuf::from(want));
        }
        assert_eq!(home(|_| None), std::env::temp_dir().join("lethe"));
    }
}
