"""Campaigns: ads, giveaways, discounts and promo codes; what they cost, and what is attributed to them."""
