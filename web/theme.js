// Light or dark, before the first paint: what was chosen here last, or else what the system says.
// A classic script, so that it runs before the page is drawn. Says "themechange" on the document.
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const KEY = "leat-theme";

  const stored = () => {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // storage is forbidden: the system's choice stands
    }
  };
  const apply = () => {
    const chosen = stored() ?? root.dataset.chosen;
    const dark = chosen ? chosen === "dark" : system.matches;
    root.dataset.theme = dark ? "dark" : "light";
    document.dispatchEvent(new Event("themechange"));
  };

  system.addEventListener("change", apply);
  document.addEventListener("click", (event) => {
    if (!event.target.closest("#theme")) return;
    root.dataset.chosen = root.dataset.theme === "dark" ? "light" : "dark";
    try {
      localStorage.setItem(KEY, root.dataset.chosen);
    } catch {
      // the choice lasts as long as the page
    }
    apply();
  });
  apply();
})();
