"""The page's style sheet: one file, no fonts or pictures from elsewhere, both colour schemes, any width."""

from __future__ import annotations

# Text colours keep at least 4.5:1 against their ground and chart colours 3:1 (WCAG 2.1 AA), in both schemes.
STYLE = """
:root{color-scheme:light dark;--ground:#f4f6f8;--card:#fff;--ink:#1a1f26;--soft:#535d69;--rule:#d5dbe2;
--tint:#eef2f7;--shade:#0f172a47;--right:#04704f;--wrong:#b3261e;
--c0:#0b57d0;--c1:#b45309;--c2:#04785a;--c3:#a21caf;--c4:#0e7490;--c5:#57534e}
@media(prefers-color-scheme:dark){:root{--ground:#0e1217;--card:#171d25;--ink:#e7edf4;--soft:#a3aebb;
--rule:#323b47;--tint:#1f2732;--shade:#94a9c966;--right:#4fd1a5;--wrong:#ff9d94;
--c0:#7ab0ff;--c1:#f5b35c;--c2:#4fd1a5;--c3:#e58af0;--c4:#5fd0e6;--c5:#c9c5c0}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);line-height:1.5;
font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:1120px;margin:0 auto;padding:32px 20px 48px}
h1{font-size:1.9rem;line-height:1.2;margin:0 0 8px;letter-spacing:-.01em;text-wrap:balance}
h2{font-size:1.25rem;margin:36px 0 12px}
h3{font-size:1rem;margin:0 0 4px}
p{margin:0 0 12px}
.lead{font-size:1.15rem;max-width:68ch}
.soft,figcaption{color:var(--soft);font-size:.88rem}
.caution{border-left:4px solid var(--c1);padding:8px 12px;background:var(--tint);border-radius:4px}
.card{background:var(--card);border:1px solid var(--rule);border-radius:12px;padding:18px 20px}
.tiles,.charts{display:grid;gap:14px;margin:20px 0}
.tiles{grid-template-columns:repeat(auto-fit,minmax(220px,1fr))}
.charts{grid-template-columns:repeat(auto-fit,minmax(min(100%,400px),1fr))}
.tiles .value{font-size:1.7rem;font-weight:650;line-height:1.2;font-variant-numeric:tabular-nums}
.tiles .card,.charts figure{margin:0;min-width:0}
.wide{overflow-x:auto;padding:0;background:
linear-gradient(to left,var(--card) 40%,transparent) 100% 0/48px 100% no-repeat local,
linear-gradient(to left,var(--shade),transparent) 100% 0/18px 100% no-repeat scroll,var(--card)}
.wide:focus-visible{outline:3px solid var(--c0);outline-offset:2px}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:.94rem}
th,td{padding:8px 14px;text-align:right;white-space:nowrap}
th{font-weight:600}
thead th{color:var(--soft);font-size:.84rem;border-bottom:1px solid var(--rule);vertical-align:bottom}
tbody+tbody{border-top:1px solid var(--rule)}
tbody th,thead th:first-child{text-align:left}
tbody td,tbody th{vertical-align:top}
.overview th:first-child{position:sticky;left:0;background:var(--card);min-width:150px;white-space:normal}
.batches th[scope=col],.batches th[scope=row]{text-align:right}
.batches th[scope=row]{font-weight:400}
.overview tbody tr+tr>*{border-top:1px solid var(--rule)}
.note{margin-top:10px}
.wide small{display:block;color:var(--soft);font-weight:400;font-size:.84rem}
svg{display:block;width:100%;height:auto}
svg text{font-size:13px;fill:var(--soft)}
svg .middle{text-anchor:middle}
svg .end{text-anchor:end}
svg .tag{fill:var(--c);font-weight:600;
paint-order:stroke;stroke:var(--card);stroke-width:4px;stroke-linejoin:round}
.grid{stroke:var(--rule);fill:none}
.axis{stroke:var(--soft);fill:none}
.line{fill:none;stroke-width:2;stroke:var(--c)}
.front{fill:none;stroke:var(--soft);stroke-width:1.5;stroke-dasharray:5 4}
.roof{fill:none;stroke:var(--soft);stroke-width:2}
.words{display:block;min-width:9ch;max-width:34ch;white-space:normal;text-align:left;overflow-wrap:break-word}
ul.plain{list-style:none}ul.plain li+li{margin-top:6px}
details{margin-top:14px}summary{cursor:pointer;font-weight:600}
details ul{margin:10px 0 0;padding-left:20px;font-size:.9rem}
.mark{fill:var(--c);stroke:var(--card);stroke-width:1.5}
.c0{--c:var(--c0)}.c1{--c:var(--c1)}.c2{--c:var(--c2)}.c3{--c:var(--c3)}.c4{--c:var(--c4)}.c5{--c:var(--c5)}
.key{list-style:none;display:flex;flex-wrap:wrap;gap:4px 18px;padding:0;margin:0;font-size:.92rem}
.key svg{width:16px;height:16px;display:inline-block;vertical-align:-2px;margin-right:6px}
.key li{overflow-wrap:anywhere}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,320px),1fr));gap:6px 32px;margin:0}
dl div{display:flex;gap:12px;justify-content:space-between;border-bottom:1px solid var(--rule);padding:4px 0}
dt{color:var(--soft)}
dd{margin:0;text-align:right;overflow-wrap:anywhere}
pre{background:var(--tint);border:1px solid var(--rule);border-radius:8px;padding:12px 14px;margin:0;
white-space:pre-wrap;overflow-wrap:anywhere;font-size:.92rem}
pre span{display:inline-block;max-width:100%}
.people:last-child{margin-bottom:0!important}
.people{display:flex;flex-wrap:wrap;gap:12px;padding:0;margin:0 0 24px;list-style:none}
.people figure{margin:0}
.people img{height:150px;width:auto;border-radius:6px;display:block}
.ranked{display:grid;grid-template-columns:minmax(0,1fr) minmax(0,5fr);gap:20px;align-items:start}
.ranked+.ranked{border-top:1px solid var(--rule);margin-top:16px;padding-top:16px}
.ranked figure,.ranked ol{margin:0;padding:0}
.ranked ol{list-style:none;display:grid;grid-template-columns:repeat(5,minmax(0,1fr));gap:10px}
.ranked img{display:block;width:100%;max-width:120px;aspect-ratio:1/2;object-fit:cover;border-radius:6px}
.ranked li img{border:4px solid var(--mark)}
.ranked .mark-line{color:var(--mark);font-weight:650;font-size:.88rem;display:block}
.right{--mark:var(--right)}.wrong{--mark:var(--wrong)}.wrong img{border-style:dashed!important}
@media(max-width:560px){main{padding:20px 14px 32px}h1{font-size:1.5rem}.lead{font-size:1.05rem}
.card{padding:14px}.wide{padding:0}th,td{padding:7px 8px}
.batches table{font-size:.88rem}.batches :is(th,td){padding:7px 6px}
.ranked{gap:10px}.ranked ol{gap:6px}
.ranked li img{border-width:3px}.ranked figcaption{font-size:.75rem}
.ranked .mark-line{font-size:.7rem;white-space:nowrap;letter-spacing:-.02em}
.words{max-width:17ch}.note{font-size:.82rem}svg text{font-size:15px}.key svg{font-size:0}}
@media print{body{background:#fff}.card{break-inside:avoid}}
"""
