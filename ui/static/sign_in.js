// Runs when the sign-in page is drawn; `element` is its component, `reasons` the sentences by code.
// The address may only choose among the sentences: no text of its own is ever shown.
const query = new URLSearchParams(location.search);
const reason = query.get("reason") ?? "";
const next = query.get("next");

if (Object.hasOwn(reasons, reason)) {
  const notice = element.querySelector("[role=alert]");
  notice.hidden = false;
  notice.textContent = reasons[reason];
  element.querySelector(".how").hidden = true;
}
if (next) {
  for (const link of element.querySelectorAll("a")) link.search += `&next=${encodeURIComponent(next)}`;
}

// The page's own HTML has shown the same card since before Gradio came. It goes once Gradio's stands in the same place,
// or after two seconds; what had the focus keeps it.
const early = document.getElementById("sign-in-now");

function place(card) {
  const { x, y, width, height } = card.getBoundingClientRect();
  return [x, y, width, height].map(Math.round).join();
}

function takeOver(until) {
  const card = element.querySelector(".card");
  if (place(card) !== place(early.querySelector(".card")) && performance.now() < until) {
    requestAnimationFrame(() => takeOver(until));
    return;
  }
  const focused = [...early.querySelectorAll("a")].indexOf(document.activeElement);
  early.remove();
  card.querySelectorAll("a")[focused]?.focus();
}

document.head.append(document.getElementById("sign-in-look")); // after Gradio's own sheets, or they would win
if (early) takeOver(performance.now() + 2000);
