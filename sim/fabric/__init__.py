"""Networks on a streaming fabric: layers become stages, a budget fixes how wide each is, FIFOs join them.

Reading order: `stages` (what a layer is as a stage), `cost` (what a stage takes of the fabric), `folding` (how wide
each stage is under the budget), `parts` (what is on the fabric at once), `wiring` (stages to a streaming graph),
`execute` (the graph through the streaming engine), `account` (to the common result).
"""
