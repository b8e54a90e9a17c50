// What every page does in the browser itself: the theme, the keys, the times, the banner of a lost connection.
// Nothing here knows what a page shows.

window.aispool = (() => {
  const THEME = "aispool-theme";
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

  // ---- times, written as a person says them; `soon` for what lies ahead
  function span(seconds) {
    for (const [name, size] of units) {
      if (seconds >= size) return `${Math.floor(seconds / size)} ${name}`;
    }
    return "0 s";
  }
  function ago(iso, now = Date.now()) {
    const moment = Date.parse(iso);
    if (Number.isNaN(moment)) return "";
    const seconds = Math.round((now - moment) / 1000);
    if (seconds < -2) return `in ${span(-seconds)}`;
    return seconds < 2 ? "now" : `${span(seconds)} ago`;
  }
  function local(iso) {
    const moment = new Date(iso);
    return Number.isNaN(moment.getTime()) ? "" : moment.toLocaleString();
  }
  function lasted(seconds) {
    if (seconds === null || seconds === undefined) return "";
    if (seconds < 10) return `${seconds.toFixed(1)} s`;
    if (seconds < 60) return `${Math.round(seconds)} s`;
    const [h, m, s] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60), Math.round(seconds % 60)];
    return h ? `${h} h ${m} min` : `${m} min ${s} s`;
  }

  // ---- light, dark, or as the system has it
  function theme() {
    return localStorage.getItem(THEME) || "auto";
  }
  function applyTheme() {
    if (theme() !== "auto" && typeof setDark === "function") setDark(theme() === "dark");
    document.documentElement.dataset.theme = theme();
  }
  function nextTheme() {
    const isDark = document.body.classList.contains("body--dark");
    localStorage.setItem(THEME, isDark ? "light" : "dark");
    applyTheme();
  }

  // ---- keys: never while a person types
  const isTyping = (element) =>
    element && (element.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(element.tagName) || element.closest(".xterm"));
  let wentAt = 0;
  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    if (document.querySelector(".q-dialog")) return;
    if (Date.now() - wentAt < 1500) {
      wentAt = 0;
      const link = document.querySelector(`a[data-key="${CSS.escape(event.key)}"]`);
      if (link) {
        event.preventDefault();
        link.click();
      }
      return;
    }
    if (event.key === "g") {
      wentAt = Date.now();
      return;
    }
    const chosen = { "/": "[data-search] input, input[data-search]", n: "[data-new]", "?": "[data-keys]" }[event.key];
    const element = chosen && document.querySelector(chosen);
    if (!element) return;
    event.preventDefault();
    if (event.key === "/") element.focus();
    else element.click();
  }

  // ---- the banner: NiceGUI shows and hides its own element, which we make an alert
  function watchConnection() {
    const popup = document.getElementById("popup");
    popup.setAttribute("role", "alert");
    const [what, next] = popup.querySelectorAll("span");
    const show = () => {
      const isLost = popup.getAttribute("aria-hidden") === "false";
      document.body.classList.toggle("is-offline", isLost);
      what.textContent = isLost ? "Connection lost." : "";
      next.textContent = isLost ? "Reconnecting; what you see may be out of date." : "";
    };
    new MutationObserver(show).observe(popup, { attributes: true, attributeFilter: ["aria-hidden"] });
    show();
  }

  // Quasar leaves some of its parts without a name or with one nobody hears.
  function nameThings(root) {
    for (const box of root.querySelectorAll(".q-field__native[role=combobox]:not([aria-label]), input.q-field__input:not([aria-label])")) {
      const label = box.closest(".q-field")?.querySelector(".q-field__label")?.textContent;
      if (label) box.setAttribute("aria-label", label);
    }
    for (const bar of root.querySelectorAll(".q-loading-bar:not([aria-label])")) bar.setAttribute("aria-label", "Loading");
  }

  document.addEventListener("keydown", onKey);
  document.addEventListener("submit", (event) => {
    if (event.target.getAttribute("action") === "/logout") sessionStorage.clear(); // what was said in this tab
  });
  document.addEventListener("DOMContentLoaded", () => {
    watchConnection();
    // the app is mounted by a module, which runs before this event
    applyTheme();
    nameThings(document);
    new MutationObserver(() => nameThings(document)).observe(document.body, { childList: true, subtree: true });
  });
  return { ago, local, lasted, nextTheme };
})();
