"""The names that problems are told with: data, and nothing that draws from it.

A chain is four categories, the largest first; each has sub-categories, and the items of one layer
of one problem come from one sub-category. No name stands twice, so an item alone tells its category
and its chain. No name contains a full stop, a comma, a digit, "'s" or " and ": sentences are taken
apart at those. Every word is capitalised, so that joined names can be taken apart too.
"""

from __future__ import annotations

Chain = tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]  # (category, sub-categories) by layer


def _listed(*lines: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(line.split(", ")) for line in lines)


def _compound(first: str, heads: str) -> tuple[tuple[str, ...], ...]:
    """A sub-category for each head: "Amber Quay", "Birch Quay", ...; "Amber Bay", ..."""
    return tuple(tuple(f"{word} {head}" for word in first.split()) for head in heads.split())


_HARBOUR = _compound(
    "Amber Birch Cobalt Dawn Ember Falcon Garnet Heron Indigo Jasper Kestrel Lantern Marble "
    "Nettle Osprey Pelican",
    "Quay Bay Haven Dock Pier",
)
_WAREHOUSE = _compound(
    "Adler Barlow Corbin Dunmore Easton Farley Gilmore Hadley Irwin Jarrow Kendal Langley Merton "
    "Norwell Oakham Paxton",
    "Depot Loft Hangar Vault Shed",
)
_CRATE = _listed(
    "Barrel, Cask, Keg, Firkin, Hogshead, Puncheon, Vat, Tub, Pail, Churn, Bucket, Trough, Basin, "
    "Jug, Flagon, Pitcher",
    "Tea Chest, Coffer, Strongbox, Casket, Fruit Box, Tool Box, Hat Box, Lock Box, Letter Box, "
    "Bread Bin, Match Box, Snuff Box, Egg Carton, Wine Rack, Milk Churn, Glass Case",
    "Burlap Bale, Cotton Bale, Straw Bale, Hay Bale, Wool Bale, Peat Bale, Moss Bale, Paper Bale, "
    "Reed Bale, Rag Bale, Jute Bale, Fleece Bale, Cork Bale, Fern Bale, Bark Bale",
    "Pine Pallet, Steel Pallet, Plastic Pallet, Oak Pallet, Cedar Pallet, Beech Pallet, "
    "Alder Pallet, Larch Pallet, Poplar Pallet, Spruce Pallet, Teak Pallet, Walnut Pallet, "
    "Willow Pallet, Rowan Pallet, Hazel Pallet",
    "Wicker Hamper, Picnic Hamper, Laundry Hamper, Fishing Creel, Bread Basket, Apple Basket, "
    "Herb Basket, Berry Punnet, Flower Trug, Coal Scuttle, Log Basket, Cane Hamper, Gift Hamper, "
    "Rush Basket, Egg Basket",
)
_PART = _listed(
    "Bolt, Screw, Rivet, Washer, Cotter, Dowel, Spike, Staple, Hook, Clamp, Clip, Bracket, Hinge, "
    "Latch, Tack, Toggle",
    "Gear, Cog, Sprocket, Pinion, Flywheel, Camshaft, Crank, Axle, Pulley, Ratchet, Bearing, "
    "Bushing, Spindle, Piston, Gasket, Rotor",
    "Resistor, Capacitor, Diode, Transistor, Inductor, Relay, Fuse, Thyristor, Varistor, Solenoid, "
    "Thermistor, Oscillator, Amplifier, Rectifier, Connector",
    "Valve, Nozzle, Elbow Pipe, Flange, Manifold, Stopcock, Coupling, Reducer, Strainer, Siphon, "
    "Spigot, Ferrule, Union Nut, Check Plate, Float Ball",
    "Lens, Prism, Mirror, Shutter, Aperture, Eyepiece, Reticle, Filter Disc, Beam Splitter, "
    "Grating, Collimator, Diffuser, Light Pipe, Lamp Holder, Focus Ring",
)
_THEATRE = _compound(
    "Apollo Bellini Cosmos Diadem Elysium Fortuna Grandeur Horizon Iris Jubilee Kingsway Lyric "
    "Majestic Nimbus Orpheus Phoenix",
    "Playhouse Opera Arena Odeon Rotunda",
)
_TROUPE = _compound(
    "Bright Clever Daring Eager Fabled Gentle Hidden Jolly Lively Merry Nimble Proud Quiet Roving "
    "Silver Wandering",
    "Players Dancers Singers Jugglers Mimes",
)
_COSTUME = _listed(
    "Cloak, Cape, Mantle, Poncho, Shawl, Stole, Toga, Kimono, Tunic, Tabard, Robe, Caftan, Sari, "
    "Kilt, Doublet, Jerkin",
    "Crown, Tiara, Bonnet, Beret, Bowler, Fedora, Turban, Fez, Hood, Visor, Helmet, Wig, Mask, "
    "Top Hat, Headdress, Wreath",
    "Ball Gown, Tail Coat, Waistcoat, Frock Coat, Dinner Jacket, Petticoat, Corset, Bodice, "
    "Pinafore, Evening Dress, Wedding Veil, Riding Habit, Night Shirt, Smoking Jacket, Opera Glove",
    "Knight Armour, Pirate Outfit, Wizard Outfit, Clown Outfit, Sailor Outfit, Miner Outfit, "
    "Baker Outfit, Hunter Outfit, Monk Outfit, Herald Outfit, Jester Outfit, Farmer Outfit, "
    "Soldier Outfit, Fairy Outfit, Ghost Outfit",
    "Dragon Suit, Bear Suit, Lion Suit, Raven Suit, Fox Suit, Owl Suit, Wolf Suit, Swan Suit, "
    "Hare Suit, Goat Suit, Toad Suit, Stag Suit, Badger Suit, Peacock Suit, Donkey Suit",
)
_FABRIC = _listed(
    "Velvet, Satin, Taffeta, Chiffon, Organza, Brocade, Damask, Tulle, Crepe, Georgette, "
    "Charmeuse, Velour, Moire, Lame, Duchesse, Habotai",
    "Canvas, Denim Cloth, Corduroy, Khaki, Gabardine, Poplin, Chambray, Seersucker, Muslin, "
    "Calico, Gingham, Percale, Cheesecloth, Batiste, Oxford Cloth",
    "Flannel, Worsted, Cashmere, Merino, Angora, Mohair, Alpaca Wool, Serge, Loden, Melton, "
    "Boucle, Tartan, Houndstooth, Herringbone, Broadcloth",
    "Suede, Nubuck, Calfskin, Sheepskin, Buckskin, Cordovan, Chamois, Patent Leather, Kidskin, "
    "Deerskin, Pigskin, Oilcloth, Rawhide, Shagreen, Vellum",
    "Gold Ribbon, Lace Edge, Silk Fringe, Bead Trim, Tassel Cord, Sequin Band, Feather Trim, "
    "Pearl Button, Brass Button, Piping Cord, Velvet Bow, Satin Sash, Braid Trim, Ruffle Strip, "
    "Eyelet Tape",
)
_RAILWAY = _compound(
    "Alpine Border Coastal Delta Eastern Forest Glacier Highland Inland Jura Karst Lakeside "
    "Mountain Northern Orient Prairie",
    "Line Branch Loop Junction Corridor",
)
_TRAIN = _compound(
    "Arrow Bullet Comet Dolphin Eagle Firefly Gazelle Hawk Ibis Jaguar Kite Lynx Meteor Nomad "
    "Otter Panther",
    "Express Local Shuttle Freight Sleeper",
)
_CARRIAGE = _compound(
    "Azure Bronze Crimson Emerald Golden Hazelnut Ivory Jade Lilac Magenta Ochre Purple Russet "
    "Scarlet Turquoise Violet",
    "Saloon Diner Van Wagon Coach",
)
_LUGGAGE = _listed(
    "Suitcase, Rucksack, Duffel, Satchel, Briefcase, Holdall, Valise, Portmanteau, Knapsack, "
    "Carpet Bag, Garment Bag, Kit Bag, Tote, Steamer Trunk, Vanity Case",
    "Violin Case, Cello Case, Flute Case, Guitar Case, Harp Case, Tuba Case, Banjo Case, "
    "Drum Case, Lute Case, Oboe Case, Viola Case, Horn Case, Zither Case, Piccolo Case, Sitar Case",
    "Ski Bag, Golf Bag, Tennis Bag, Surf Bag, Skate Bag, Bowling Bag, Cricket Bag, Archery Bag, "
    "Fencing Bag, Climbing Bag, Hockey Bag, Rowing Bag, Judo Bag, Polo Bag, Diving Bag",
    "Umbrella, Parasol, Walking Stick, Tripod, Easel, Map Tube, Camp Stool, Deck Chair, Tent Roll, "
    "Sleeping Bag, Camera Case, Fishing Rod, Butterfly Net, Sledge, Snow Shovel",
    "Bird Cage, Cat Carrier, Dog Crate, Fish Tank, Hamster Box, Rabbit Hutch, Lizard Tank, "
    "Parrot Cage, Bee Box, Turtle Tub, Ferret Cage, Ant Farm, Pony Saddle, Mouse Cage, Newt Jar",
)
_ESTATE = _compound(
    "Ashby Belmont Claremont Denholm Elmwood Fairview Glenmore Hartwell Ingleby Kingsley "
    "Lindale Mayfield Netherby Overton Pembroke Redfern",
    "Manor Grange Lodge Abbey Villa",
)
_GARDEN = _compound(
    "Ancient Breezy Cloister Dewy Evening Fountain Grotto Hermit Island Kitchen Linden Morning "
    "Northwall Pebble Secret Twilight",
    "Court Terrace Orchard Meadow Lawn",
)
_FLOWERBED = _compound(
    "Arched Broad Curved Diamond Edged Fenced Granite Hollow Kidney Long Mossy Narrow Oval Round "
    "Square Tiered",
    "Bed Row Patch Border Rockery",
)
_FLOWER = _listed(
    "Rose, Tulip, Daisy, Peony, Dahlia, Zinnia, Aster, Marigold, Begonia, Petunia, Carnation, "
    "Geranium, Camellia, Gardenia, Hydrangea, Magnolia",
    "Crocus, Snowdrop, Daffodil, Hyacinth, Narcissus, Anemone, Freesia, Gladiolus, Amaryllis, "
    "Allium, Bluebell, Squill, Fritillary, Agapanthus, Ranunculus",
    "Orchid, Lotus, Hibiscus, Jasmine, Plumeria, Oleander, Bougainvillea, Passionflower, "
    "Heliconia, Protea, Strelitzia, Anthurium, Bromeliad, Frangipani, Tuberose",
    "Poppy, Cornflower, Buttercup, Cowslip, Foxglove, Harebell, Campion, Yarrow, Teasel, Clover, "
    "Bellflower, Speedwell, Toadflax, Meadowsweet, Ragwort",
    "Lavender, Rosemary, Thyme, Borage, Chamomile, Hyssop, Sage, Verbena, Catmint, Bergamot, "
    "Tansy, Comfrey, Feverfew, Lovage, Marjoram",
)
CHAINS: tuple[Chain, ...] = (
    (
        ("Harbour", _HARBOUR),
        ("Warehouse", _WAREHOUSE),
        ("Container", _CRATE),
        ("Component", _PART),
    ),
    (("Theatre", _THEATRE), ("Troupe", _TROUPE), ("Costume", _COSTUME), ("Fabric", _FABRIC)),
    (("Railway", _RAILWAY), ("Train", _TRAIN), ("Carriage", _CARRIAGE), ("Baggage", _LUGGAGE)),
    (("Estate", _ESTATE), ("Garden", _GARDEN), ("Flowerbed", _FLOWERBED), ("Flower", _FLOWER)),
)

# Few and short words: two of them joined are one token to a student that was raised on them.
SMALL_CHAIN: Chain = (
    (
        "Barn",
        _listed("North, South, Hill, Lake, Mill, Ford"),
    ),
    (
        "Cart",
        _listed("Red, Blue, Gold, Pink, Teal, Plum"),
    ),
    (
        "Sack",
        _listed("Wool, Silk, Hemp, Felt, Lace, Cord"),
    ),
    (
        "Seed",
        _listed("Rye, Oat, Corn, Bean, Rice, Mint"),
    ),
)

CATEGORY_OF = {
    item: category
    for chain in (*CHAINS, SMALL_CHAIN)
    for category, groups in chain
    for group in groups
    for item in group
}
CHAIN_OF = {
    category: tuple(name for name, _ in chain)
    for chain in (*CHAINS, SMALL_CHAIN)
    for category, _ in chain
}
