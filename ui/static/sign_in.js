// Runs when the sign-in page is drawn; `element` is its component, `reasons` the sentences by code.
// The address may only choose among the sentences: no text of its own is ever shown.
const query = new URLSearchParams(location.search);
const reason = query.get("reason") ?? "";
const next = query.get("next");

if (Object.hasOwn(reasons, reason)) {
  const notice = element.querySelector("[role=alert]");
  notice.hidden = false;
  notice.textContent = reasons[reason];
}
if (next) {
  for (const link of element.querySelectorAll("a")) link.search += `&next=${encodeURIComponent(next)}`;
}
