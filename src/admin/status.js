// Renews the page in place. Without a script it reloads itself.
const renew = async () => {
  const status = document.getElementById("status");
  try {
    const answer = await fetch("/", { cache: "no-store", signal: AbortSignal.timeout(5000) });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    status.replaceChildren(...page.getElementById("status").childNodes);
    document.title = page.title;
    status.classList.remove("stale");
  } catch {
    document.title = "gcsd: gone";
    status.classList.add("stale");
  }
  setTimeout(renew, document.hidden ? 10000 : 2000);
};
setTimeout(renew, 2000);
