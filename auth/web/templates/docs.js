const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();
const NAMES = {"#servers": "Server", ".copy-to-clipboard > button": "Copy", ".close-modal": "Close this dialog"};
new MutationObserver(() => {
  for (const [selector, name] of Object.entries(NAMES)) {
    for (const part of document.querySelectorAll(`${selector}:not([aria-label])`)) part.ariaLabel = name;
  }
  // These say something else than what stands on them.
  for (const button of document.querySelectorAll(".auth-btn-wrapper [aria-label]")) button.removeAttribute("aria-label");
}).observe(document.getElementById("swagger-ui"), {childList: true, subtree: true});
