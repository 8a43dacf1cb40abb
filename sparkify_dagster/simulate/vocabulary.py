"""The words that names, titles, places and browsers are made of. Data only.

Every list mixes plain words with the troubles of real ones: accents, other scripts, emoji,
quotes, slashes, backslashes and markup.
"""

FIRST_NAMES = (
    ("Ava", "F"), ("Benjamin", "M"), ("Chloe", "F"), ("Dominic", "M"), ("Emily", "F"),
    ("Felix", "M"), ("Grace", "F"), ("Henry", "M"), ("Isabel", "F"), ("Jacob", "M"),
    ("Kate", "F"), ("Liam", "M"), ("Molly", "F"), ("Noah", "M"), ("Olivia", "F"),
    ("Preston", "M"), ("Quinn", "F"), ("Ryan", "M"), ("Sophia", "F"), ("Tucker", "M"),
    ("Ursula", "F"), ("Victor", "M"), ("Willa", "F"), ("Xavier", "M"), ("Yara", "F"),
    ("Aleena", "F"), ("Bronson", "M"), ("Cecilia", "F"), ("Devin", "M"), ("Elijah", "M"),
    ("Zoë", "F"), ("José", "M"), ("Chloé", "F"), ("Søren", "M"), ("Łucja", "F"),
    ("D'Andre", "M"), ("Siân", "F"), ("さくら", "F"), ("Анна", "F"), ("Jean-François", "M"),
)  # fmt: skip

LAST_NAMES = (
    "Adams", "Barrera", "Cuevas", "Davis", "Ellis", "Fischer", "Griffin", "Harrell", "Ingram",
    "Jones", "Klein", "Levine", "Lynch", "Morris", "Norton", "Ortiz", "Parker", "Quincy", "Rosales",
    "Smith", "Thompson", "Underwood", "Vance", "Walker", "Young", "Zimmer", "Bennett", "Cole",
    "O'Brien", "D'Angelo", "Nuñez", "Müller", "Ångström", "Łukasik", "García Márquez", "Çelik",
    "Smith-Jones", "山田", "Иванова", "Ó Súilleabháin",
)  # fmt: skip

ADJECTIVES = (
    "Broken", "Silent", "Golden", "Electric", "Lonely", "Midnight", "Crooked", "Paper", "Velvet",
    "Burning", "Hollow", "Distant", "Wild", "Frozen", "Second", "Crystal", "Rolling", "Hidden",
    "Blue", "Tender", "Restless", "Wooden", "Neon", "Bitter", "Sunday", "Foreign", "Perfect",
    "Señorita", "Naïve", "Éternel", "Über", "50%", "Rock 'n' Roll", "\"Real\"", "Ñandú",
)  # fmt: skip

NOUNS = (
    "River", "Engine", "Garden", "Mirror", "Highway", "Letter", "Thunder", "Shadow", "Harbor",
    "Window", "Circus", "Satellite", "Orchard", "Ghost", "Mountain", "Candle", "Parade", "Station",
    "Ocean", "Stranger", "Kingdom", "Feather", "Compass", "Desert", "Signal", "Morning", "Winter",
    "Lantern", "Machine", "Promise", "Tiger", "Carousel", "Corazón", "L'Été", "Ночь", "夜の歌",
    "사랑", "Stars/Stripes", "💔", "Sunshine ☀️", "C:\\Drive",
)  # fmt: skip

TITLE_ENDINGS = (
    "", "", "", "", "", "", "", " (Live)", " (Album Version)", " [Remix]", " (2005 Remaster)",
    " - Acoustic",
)  # fmt: skip

# Names and titles that every catalogue has, however small.
TROUBLED_ARTISTS = (
    "Sigrún Ósk & The Nörth", "The \"Quoted\" Brothers", "Mac O'Lantern / DJ Über",
    "桜井 楽団", "Émile & Zoë", "Little Bobby'; --", "<b>Bold</b> & Italic", "Trio Coração 🎷",
)  # fmt: skip
TROUBLED_TITLES = (
    "Où est l'été?", "Say \"Yes\" (Don't)", "Side A/Side B", "夜の歌", "C:\\Music\\New",
    "100% Señorita", "I 💔 You", "Ночь & День",
)  # fmt: skip

# Location, latitude, longitude of artists.
PLACES = (
    ("London, England", 51.50632, -0.12714), ("Chicago, IL", 41.88415, -87.63241),
    ("New York, NY [Manhattan]", 40.79086, -73.96644), ("California - LA", 34.05349, -118.24532),
    ("São Paulo, Brazil", -23.56287, -46.65468), ("Zürich, Switzerland", 47.37706, 8.53955),
    ("Reykjavík, Iceland", 64.14535, -21.93062), ("東京", 35.67048, 139.74092),
    ("Hawai'i", 20.7855, -156.13132), ("Lagos, Nigeria", 6.43794, 3.42955),
    ("Memphis, TN", 35.14968, -90.04892), ("Toronto, Ontario, Canada", 43.64856, -79.38533),
    ("Köln/Bonn", 50.94168, 6.95517), ("United States", 37.16793, -95.84502),
    ("Noumea", -22.27407, 166.44884), ("Sydney, Australia", -33.8696, 151.20695),
)  # fmt: skip

# Metropolitan areas of listeners.
METROS = (
    "San Francisco-Oakland-Hayward, CA", "Portland-South Portland, ME", "Lansing-East Lansing, MI",
    "Atlanta-Sandy Springs-Roswell, GA", "New York-Newark-Jersey City, NY-NJ-PA",
    "Lake Havasu City-Kingman, AZ", "Waterloo-Cedar Falls, IA", "Winston-Salem, NC",
    "Chicago-Naperville-Elgin, IL-IN-WI", "Tampa-St. Petersburg-Clearwater, FL",
    "Sacramento--Roseville--Arden-Arcade, CA", "Houston-The Woodlands-Sugar Land, TX",
    "San Juan-Carolina-Caguas, PR", "Coeur d'Alene, ID", "Cañon City, CO", "Eugene, OR",
    "Red Bluff, CA", "Janesville-Beloit, WI", "Marinette, WI-MI", "Yuba City, CA",
    "Nashville-Davidson--Murfreesboro--Franklin, TN", "Birmingham-Hoover, AL", "Salinas, CA",
    "Detroit-Warren-Dearborn, MI", "Augusta-Richmond County, GA-SC", "Plymouth, IN",
)  # fmt: skip

SYSTEMS = (
    "Windows NT 6.1; WOW64", "Windows NT 6.3; WOW64", "Windows NT 5.1", "X11; Linux x86_64",
    "Macintosh; Intel Mac OS X 10_9_4", "Macintosh; Intel Mac OS X 10_10_0",
)  # fmt: skip

# The real log keeps some agents in quotes of their own.
AGENTS = (
    '"Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) '
    'Chrome/36.0.1985.143 Safari/537.36"',
    '"Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) '
    'Chrome/37.0.2062.94 Safari/537.36"',
    '"Mozilla/5.0 ({system}) AppleWebKit/537.78.2 (KHTML, like Gecko) '
    'Version/7.0.6 Safari/537.78.2"',
    "Mozilla/5.0 ({system}; rv:31.0) Gecko/20100101 Firefox/31.0",
    "Mozilla/5.0 ({system}; rv:24.0) Gecko/20100101 Firefox/24.0",
)
