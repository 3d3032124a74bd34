"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const one = (selector) => document.querySelector(selector);

  // Light or dark: the system's choice until the reader makes one.
  one("#scheme").addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.scheme
      ? root.dataset.scheme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.scheme = dark ? "light" : "dark";
  });

  // The full table.
  const table = one("#table");
  const body = table.tBodies[0];
  const heads = all("thead th", table);
  const visible = () => [...body.rows].filter((row) => !row.hidden);

  const count = () => {
    const shown = visible().length;
    one("#shown").textContent = `${shown} of ${body.rows.length} results are shown.`;
  };

  all("[data-sort]", table).forEach((button) => button.addEventListener("click", () => {
    const index = Number(button.dataset.sort);
    const head = heads[index];
    const up = head.getAttribute("aria-sort") !== "ascending";
    const numeric = head.classList.contains("number");
    const key = (row) => row.cells[index].dataset.key;
    const rows = [...body.rows].sort((a, b) => numeric
      ? Number(key(a)) - Number(key(b))
      : key(a).localeCompare(key(b), "en", { numeric: true }));
    heads.forEach((each) => each.setAttribute("aria-sort", "none"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    body.append(...(up ? rows : rows.reverse()));
  }));

  const filters = all("[data-filter]");
  const select = () => {
    const words = one("#search").value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of body.rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word)) || filters.some((filter) =>
        filter.value && row.cells[Number(filter.dataset.filter)].textContent !== filter.value);
    }
    count();
  };
  one("#search").addEventListener("input", select);
  filters.forEach((filter) => filter.addEventListener("change", select));

  all("[data-column]").forEach((box) => box.addEventListener("change", () => {
    const index = Number(box.dataset.column);
    for (const row of table.rows) row.cells[index].hidden = !box.checked;
  }));

  // The list of columns closes as other menus do.
  const menu = one(".menu");
  document.addEventListener("click", (event) => {
    if (!menu.contains(event.target)) menu.open = false;
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    menu.open = false;
    one(".menu summary").focus();
  });

  // What is copied is what is shown: the rows that match, and the columns that are chosen.
  const shown = () => [table.tHead.rows[0], ...visible()].map((row) =>
    [...row.cells].filter((cell) => !cell.hidden).map((cell) => cell.textContent.trim()));
  const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const escaped = (text) => text
    .replace(/\\/g, "\\textbackslash ")
    .replace(/[&%$#_{}]/g, "\\$&")
    .replace(/~/g, "\\textasciitilde{}").replace(/\^/g, "\\textasciicircum{}")
    .replace(/±/g, "$\\pm$").replace(/†/g, "$^{\\dagger}$").replace(/</g, "$<$").replace(/>/g, "$>$");
  const formats = {
    csv: () => shown().map((row) => row.map(quoted).join(",")).join("\n") + "\n",
    latex: () => {
      const [head, ...rows] = shown().map((row) => `${row.map(escaped).join(" & ")} \\\\`);
      const kinds = heads.filter((each) => !each.hidden)
        .map((each) => (each.classList.contains("number") ? "r" : "l")).join("");
      return [`\\begin{tabular}{${kinds}}`, "\\toprule", head, "\\midrule", ...rows,
        "\\bottomrule", "\\end{tabular}", ""].join("\n");
    },
  };
  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // A page that was opened as a file has no clipboard in some browsers.
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
  };
  all("[data-copy]").forEach((button) => button.addEventListener("click", async () => {
    const text = formats[button.dataset.copy]();
    await copy(text);
    button.dataset.copied = text;
    one("#status").textContent = `Copied ${visible().length} rows.`;
  }));

  const data = JSON.parse(one("#data").textContent);
  all("[data-download]").forEach((button) => button.addEventListener("click", () => {
    const kind = button.dataset.download;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([data[kind]], { type: `text/${kind}` }));
    link.download = `results.${kind}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }));

  // Charts: values where one points, another axis, and lines to switch off.
  const tip = one("#tip");
  let pointed = null;
  const place = (point) => {
    pointed = point;
    const box = point.getBoundingClientRect();
    tip.textContent = point.getAttribute("aria-label");
    tip.hidden = false;
    const left = Math.min(box.right + 8, innerWidth - tip.offsetWidth - 8);
    tip.style.left = `${Math.max(8, left)}px`;
    tip.style.top = `${Math.max(8, box.top - tip.offsetHeight - 6)}px`;
  };
  const hide = () => {
    pointed = null;
    tip.hidden = true;
  };
  const points = all(".chart > svg .point");
  points.forEach((point) => {
    point.addEventListener("pointerenter", () => place(point));
    point.addEventListener("pointerleave", hide);
    point.addEventListener("focus", () => place(point));
    point.addEventListener("blur", hide);
  });
  // The focus can make the page scroll: the value goes with its point.
  addEventListener("scroll", () => { if (pointed) place(pointed); }, { passive: true });
  // A chart is one stop of the Tab key; arrows go from point to point.
  all(".chart > svg").forEach((svg) => {
    const own = all(".point", svg);
    if (own.length) own[0].setAttribute("tabindex", "0");
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (event.key === "Escape") hide();
      if (!step) return;
      event.preventDefault();
      const seen = own.filter((point) => point.getClientRects().length);
      const at = seen.indexOf(document.activeElement);
      seen[(at + step + seen.length) % seen.length].focus();
    });
  });

  all("[name=axis]").forEach((choice) => choice.addEventListener("change", () => {
    for (const view of all("#part-charts .plot")) {
      view.toggleAttribute("hidden", view.dataset.axis !== choice.value);
    }
  }));

  all(".legend button").forEach((button) => button.addEventListener("click", () => {
    const on = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(on));
    all(`.line[data-line="${button.dataset.line}"]`, button.closest(".chart"))
      .forEach((line) => line.classList.toggle("off", !on));
  }));

  count();
})();
