"""The circuits by name, with their titles: a list that imports no simulator."""

TITLES = {
    "balanced_amplification": "Balanced amplification",
    "chaotic": "Random network, chaotic for a gain above 1",
    "hopfield": "Continuous Hopfield network",
    "inhibition_stabilized": "Inhibition-stabilised pair of populations",
    "jansen_rit": "Cortical column with an alpha rhythm",
    "low_rank": "Random network with a rank-one structure",
    "ring_attractor": "Ring attractor of orientation columns",
    "short_term_plasticity": "Working memory in facilitated synapses",
    "ssn_four_types": "Supralinear network of E, PV, SOM and VIP cells",
    "ssn_line": "Stabilized supralinear line with surround suppression",
    "ssn_ring": "Stabilized supralinear ring of orientations",
    "ssn_stochastic": "Stochastic supralinear network of two populations",
    "synaptic_currents": "Fast and slow synapses of E and I populations",
    "wilson_cowan_multistable": "Wilson-Cowan populations, multistable",
    "wilson_cowan_oscillating": "Wilson-Cowan populations on a limit cycle",
    "wong_wang": "Decision by two competing populations",
}
